// The responses of samlify: see make.py. `node make.mjs KEYS`, where KEYS is the folder that make.py was given.

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const samlify = createRequire(path.join(process.cwd(), "/"))(process.env.SAMLIFY ?? "samlify");
const { Constants, IdentityProvider, SamlLib, ServiceProvider, setSchemaValidator } = samlify;
setSchemaValidator({ validate: () => Promise.resolve("not asked") });

const ACS = "https://team.example.com/cdn-cgi/access/callback";
const IDP = "https://idp.example.net/metadata";
const keys = process.argv[2];
const key = fs.readFileSync(path.join(keys, "provider-rsa.key"));
const certificate = fs.readFileSync("provider-rsa.pem");

const statement = `<saml:AuthnStatement AuthnInstant="{IssueInstant}" SessionIndex="_session-1"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`;
const context = SamlLib.defaultLoginResponseTemplate.context.replace("{AuthnStatement}", statement);

for (const [name, message, encrypted, cipher] of [
  ["assertion", false, false],
  ["both", true, false],
  ["encrypted-gcm", true, true, "http://www.w3.org/2009/xmlenc11#aes256-gcm"],
  ["encrypted-cbc", true, true, Constants.algorithms.encryption.data.AES_256],
]) {
  const idp = IdentityProvider({
    entityID: IDP,
    privateKey: key,
    signingCert: certificate,
    isAssertionEncrypted: encrypted,
    dataEncryptionAlgorithm: cipher,
    keyEncryptionAlgorithm: "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
    requestSignatureAlgorithm: Constants.algorithms.signature.RSA_SHA256,
    singleSignOnService: [{ Binding: Constants.namespace.binding.redirect, Location: "https://idp.example.net/sso?tenant=7" }],
    loginResponseTemplate: {
      context,
      attributes: [{ name: "email", valueTag: "user.email", nameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic", valueXsiType: "xs:string" }],
    },
  });
  const sp = ServiceProvider({
    entityID: ACS,
    encryptCert: fs.readFileSync("sp.pem"),
    wantAssertionsSigned: true,
    wantMessageSigned: message,
    messageSigningOrder: "encrypt-then-sign",
    assertionConsumerService: [{ Binding: Constants.namespace.binding.post, Location: ACS }],
  });
  const start = new Date();
  const end = new Date(start.getTime() + 300_000);
  const fill = (template) => ({
    id: "_response-1",
    context: SamlLib.replaceTagsByValue(template, {
      ID: "_response-1", AssertionID: "_assertion-1", Destination: ACS, Audience: ACS, EntityID: ACS, SubjectRecipient: ACS,
      AssertionConsumerServiceURL: ACS, Issuer: IDP, InResponseTo: "_request-1", IssueInstant: start.toISOString(),
      ConditionsNotBefore: start.toISOString(), ConditionsNotOnOrAfter: end.toISOString(),
      SubjectConfirmationDataNotOnOrAfter: end.toISOString(), StatusCode: Constants.StatusCode.Success,
      NameIDFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", NameID: "ada@example.com",
      attrUserEmail: "ada@example.com",
    }),
  });
  const request = { extract: { request: { id: "_request-1" } } };
  const made = await idp.createLoginResponse(sp, request, "post", { email: "ada@example.com" }, fill, encrypted);
  fs.writeFileSync(`samlify-${name}.xml`, Buffer.from(made.context, "base64"));
}
