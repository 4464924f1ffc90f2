"""Makes the responses in this folder, by implementations of SAML that narthex does not share a line with.

Needs xmlsec1, openssl and faketime (Debian), `pip install pysaml2 signxml`, `npm install samlify`. Run it in this folder
as `faketime -f '@2026-11-22 20:59:30' python3 make.py` with TZ=UTC, and make.mjs in the same way; all keys are made anew,
and those of the provider thrown away. The tests set their clock to 21:00:00 of that day.
"""

import pathlib
import subprocess
import sys
import tempfile

ACS = "https://team.example.com/cdn-cgi/access/callback"
IDP = "https://idp.example.net/metadata"
SSO = "https://idp.example.net/sso?tenant=7"
REQUEST = "_request-1"
HERE = pathlib.Path(__file__).parent
KEYS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

DSIG = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
ENC = "http://www.w3.org/2001/04/xmlenc#"
ENC11 = "http://www.w3.org/2009/xmlenc11#"


def run(*command, **more):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **more).stdout


def pair(name, *algorithm):
    """A key, PKCS#8, in KEYS and a certificate of thirty years in this folder."""
    run("openssl", "genpkey", *algorithm, "-out", KEYS / f"{name}.key")
    run("openssl", "req", "-x509", "-new", "-key", KEYS / f"{name}.key", "-days", 10957, "-subj", f"/CN={name}",
        "-out", HERE / f"{name}.pem")


def keys():
    pair("provider-rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    pair("provider-ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve")
    pair("sp", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    pair("weak-rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    pair("weak-ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime192v1", "-pkeyopt", "ec_param_enc:named_curve")
    run("openssl", "genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:2048", "-out", KEYS / "dsa")
    pair("weak-dsa", "-paramfile", KEYS / "dsa")
    pair("weak-ed25519", "-algorithm", "ED25519")
    (HERE / "sp.key").write_text((KEYS / "sp.key").read_text())


def template(parent, method=MORE + "rsa-sha256", digest=ENC + "sha256"):
    return f"""
    <ds:Signature xmlns:ds="{DSIG}">
      <ds:SignedInfo>
        <ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
        <ds:SignatureMethod Algorithm="{method}"/>
        <ds:Reference URI="#{parent}">
          <ds:Transforms>
            <ds:Transform Algorithm="{DSIG}enveloped-signature"/>
            <ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
          </ds:Transforms>
          <ds:DigestMethod Algorithm="{digest}"/>
          <ds:DigestValue/>
        </ds:Reference>
      </ds:SignedInfo>
      <ds:SignatureValue/>
      <ds:KeyInfo><ds:X509Data/></ds:KeyInfo>
    </ds:Signature>"""


def assertion(signature=""):
    """As a provider writes that likes white space, empty tags, types and all its prefixes at the top."""
    return f"""<saml:Assertion ID="_assertion-1" Version="2.0" IssueInstant="2026-11-22T20:59:30.123Z">
    <saml:Issuer>{IDP}</saml:Issuer>{signature}
    <saml:Subject>
      <saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">ada@example.com</saml:NameID>
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
        <saml:SubjectConfirmationData NotOnOrAfter="2026-11-22T21:04:30Z" Recipient="{ACS}" InResponseTo="{REQUEST}"/>
      </saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotBefore="2026-11-22T20:59:00Z" NotOnOrAfter="2026-11-22T21:04:30Z">
      <saml:AudienceRestriction><saml:Audience>{ACS}</saml:Audience></saml:AudienceRestriction>
    </saml:Conditions>
    <saml:AuthnStatement AuthnInstant="2026-11-22T20:59:30Z" SessionIndex="_session-1">
      <saml:AuthnContext>
        <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>
      </saml:AuthnContext>
    </saml:AuthnStatement>
    <saml:AttributeStatement>
      <saml:Attribute Name="email" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">
        <saml:AttributeValue xsi:type="xs:string">ada@example.com</saml:AttributeValue>
      </saml:Attribute>
      <saml:Attribute Name="name"><saml:AttributeValue xsi:type="xs:string">Ada &amp; Zoë &lt;3</saml:AttributeValue></saml:Attribute>
    </saml:AttributeStatement>
  </saml:Assertion>"""


def response(payload, signature=""):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"
    xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    ID="_response-1" Version="2.0" IssueInstant="2026-11-22T20:59:30Z" Destination="{ACS}" InResponseTo="{REQUEST}">
  <saml:Issuer>{IDP}</saml:Issuer>{signature}
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
  {payload}
</samlp:Response>
"""


def xmlsec(document, key, element):
    """Signs with xmlsec1 the signature that stands in `element`."""
    kind = {"Assertion": "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "Response": "urn:oasis:names:tc:SAML:2.0:protocol:Response"}
    path = f"/*[local-name()='Response']{'/*[local-name()=%r]' % element if element != 'Response' else ''}/*[local-name()='Signature']"
    source = KEYS / "unsigned.xml"
    source.write_text(document)
    ids = [part for name in kind.values() for part in ("--id-attr:ID", name)]
    return run("xmlsec1", "--sign", *ids, "--node-xpath", path,
               "--privkey-pem", f"{KEYS / key}.key,{HERE / key}.pem", source)


def by_xmlsec():
    rsa = "provider-rsa"
    (HERE / "xmlsec1-assertion.xml").write_text(xmlsec(response(assertion(template("_assertion-1"))), rsa, "Assertion"))
    (HERE / "xmlsec1-response.xml").write_text(xmlsec(response(assertion(), template("_response-1")), rsa, "Response"))
    both = xmlsec(response(assertion(template("_assertion-1")), template("_response-1")), rsa, "Assertion")
    (HERE / "xmlsec1-both.xml").write_text(xmlsec(both, rsa, "Response"))
    sha512 = template("_assertion-1", MORE + "rsa-sha512", ENC + "sha512")
    (HERE / "xmlsec1-rsa-sha512.xml").write_text(xmlsec(response(assertion(sha512)), rsa, "Assertion"))
    sha1 = template("_assertion-1", DSIG + "rsa-sha1", DSIG + "sha1")
    (HERE / "xmlsec1-rsa-sha1.xml").write_text(xmlsec(response(assertion(sha1)), rsa, "Assertion"))
    ecdsa = template("_assertion-1", MORE + "ecdsa-sha256")
    (HERE / "xmlsec1-ecdsa.xml").write_text(xmlsec(response(assertion(ecdsa)), "provider-ec", "Assertion"))


def encryption(cipher, transport):
    return f"""<xenc:EncryptedData xmlns:xenc="{ENC}" Type="{ENC}Element">
      <xenc:EncryptionMethod Algorithm="{cipher}"/>
      <ds:KeyInfo xmlns:ds="{DSIG}"><xenc:EncryptedKey>
        {transport}
        <ds:KeyInfo><ds:X509Data/></ds:KeyInfo>
        <xenc:CipherData><xenc:CipherValue/></xenc:CipherData>
      </xenc:EncryptedKey></ds:KeyInfo>
      <xenc:CipherData><xenc:CipherValue/></xenc:CipherData>
    </xenc:EncryptedData>"""


OAEP = f'<xenc:EncryptionMethod Algorithm="{ENC}rsa-oaep-mgf1p"/>'
OAEP_SHA1 = f'<xenc:EncryptionMethod Algorithm="{ENC}rsa-oaep-mgf1p"><ds:DigestMethod Algorithm="{DSIG}sha1"/></xenc:EncryptionMethod>'
RSA15 = f'<xenc:EncryptionMethod Algorithm="{ENC}rsa-1_5"/>'


def encrypt(document, cipher, transport, session):
    """Encrypts the assertion of `document` with xmlsec1."""
    wrapped = document.replace("<saml:Assertion ", "<saml:EncryptedAssertion><saml:Assertion ").replace(
        "</saml:Assertion>", "</saml:Assertion></saml:EncryptedAssertion>")
    source, form = KEYS / "clear.xml", KEYS / "form.xml"
    source.write_text(wrapped)
    form.write_text(encryption(cipher, transport))
    return run("xmlsec1", "--encrypt", "--pubkey-cert-pem", HERE / "sp.pem", "--session-key", session, "--xml-data", source,
               "--node-xpath", "//*[local-name()='Assertion']", form)


def by_xmlsec_encrypted():
    rsa = "provider-rsa"
    # Self-contained, so that the assertion keeps its meaning and signature when it is decrypted elsewhere.
    names = ' xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    inner = assertion(template("_assertion-1")).replace(
        "<saml:Assertion ", f'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"{names} ')
    signed = xmlsec(response(inner), rsa, "Assertion")
    for name, cipher, transport, session in [
        ("aes128-gcm", ENC11 + "aes128-gcm", OAEP, "aes-128"),
        ("aes256-gcm", ENC11 + "aes256-gcm", OAEP_SHA1, "aes-256"),
        ("aes128-cbc", ENC + "aes128-cbc", OAEP, "aes-128"),
        ("aes192-cbc", ENC + "aes192-cbc", OAEP, "aes-192"),
        ("aes256-cbc", ENC + "aes256-cbc", OAEP, "aes-256"),
        ("rsa15", ENC + "aes256-cbc", RSA15, "aes-256"),
        ("des", ENC + "tripledes-cbc", OAEP, "des-192"),
    ]:
        (HERE / f"xmlsec1-encrypted-{name}.xml").write_text(encrypt(signed, cipher, transport, session))
    # As Shibboleth does by default: encrypted first, then only the response signed.
    bare = response(inner.replace(template("_assertion-1"), ""), template("_response-1"))
    around = xmlsec(encrypt(bare, ENC11 + "aes128-gcm", OAEP, "aes-128"), rsa, "Response")
    (HERE / "xmlsec1-encrypted-then-signed.xml").write_text(around)


def by_signxml():
    from lxml import etree
    from signxml import XMLSigner, methods

    signer = XMLSigner(method=methods.enveloped, signature_algorithm="rsa-sha256", digest_algorithm="sha256",
                       c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    place = f'<ds:Signature xmlns:ds="{DSIG}" Id="placeholder"/>'
    document = etree.fromstring(response(assertion(), place).encode())
    signed = signer.sign(document, key=(KEYS / "provider-rsa.key").read_bytes(),
                         cert=(HERE / "provider-rsa.pem").read_text(), reference_uri="_response-1", id_attribute="ID")
    (HERE / "signxml-response.xml").write_bytes(etree.tostring(signed, encoding="UTF-8"))


def by_pysaml2():
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
    from saml2.config import IdPConfig
    from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NAME_FORMAT_URI, NameID
    from saml2.server import Server

    certificate = "".join((HERE / "sp.pem").read_text().splitlines()[1:-1])
    metadata = f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ACS}">
      <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
        <md:KeyDescriptor use="encryption"><ds:KeyInfo xmlns:ds="{DSIG}"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
        <md:AssertionConsumerService Binding="{BINDING_HTTP_POST}" Location="{ACS}" index="0"/>
      </md:SPSSODescriptor></md:EntityDescriptor>"""
    settings = {
        "entityid": IDP, "xmlsec_binary": "/usr/bin/xmlsec1", "debug": 0,
        "key_file": str(KEYS / "provider-rsa.key"), "cert_file": str(HERE / "provider-rsa.pem"),
        "service": {"idp": {
            "endpoints": {"single_sign_on_service": [(SSO, BINDING_HTTP_REDIRECT)]},
            "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI, "attribute_restrictions": None}},
        }},
        "metadata": {"inline": [metadata]},
    }
    config = IdPConfig()
    config.load(settings)
    server = Server(config=config)
    for name, how in [
        ("assertion", {"sign_assertion": True, "sign_response": False}),
        ("both", {"sign_assertion": True, "sign_response": True}),
        ("encrypted", {"sign_assertion": True, "sign_response": True, "encrypt_assertion": True,
                       "encrypt_assertion_self_contained": True}),
    ]:
        made = server.create_authn_response(
            {"mail": ["ada@example.com"], "givenName": ["Ada"], "eduPersonAffiliation": ["staff", "member"]},
            in_response_to=REQUEST, destination=ACS, sp_entity_id=ACS,
            name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text="ada@example.com"),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": IDP},
            sign_alg=MORE + "rsa-sha256", digest_alg=ENC + "sha256", **how)
        (HERE / f"pysaml2-{name}.xml").write_text(str(made))


if __name__ == "__main__":
    keys()
    by_xmlsec()
    by_xmlsec_encrypted()
    by_signxml()
    by_pysaml2()
