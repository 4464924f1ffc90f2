// A SAML identity provider for a story: requests are read and responses are written and signed by the library `samlify`;
// ours are only the login page around it and the knobs by which a test makes it misbehave.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import samlify from 'samlify'

const { Constants, IdentityProvider, SamlLib, ServiceProvider, setSchemaValidator } = samlify
setSchemaValidator({ validate: async () => 'no schema is at hand; the gateway is what is tested' })

const EMAIL = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
const AUTHENTICATED =
  '<saml:AuthnStatement AuthnInstant="{IssueInstant}" SessionIndex="{SessionIndex}"><saml:AuthnContext>' +
  '<saml:AuthnContextClassRef>https://refeds.org/profile/mfa</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>'
const BETWEEN = '|' // the library knows attributes of one value: the others are written behind it

/** A page that posts a form at once, as providers do. */
function posting(action, fields) {
  const escape = (text) => text.replace(/[&"<>]/g, (c) => `&#${c.charCodeAt(0)};`)
  const inputs = Object.entries(fields).map(([name, value]) => `<input type=hidden name="${name}" value="${escape(value)}">`)
  return `<!doctype html><title>Provider</title><form method=post action="${escape(action)}">${inputs.join('')}</form>
    <script>document.forms[0].submit()</script>`
}

export class SamlProvider {
  /** `people` by the name that is typed: `{ email, attributes: { name: value or list } }`. */
  static async start({ people, attributes }) {
    const idp = new SamlProvider()
    idp.people = people
    idp.answers = []
    idp.misbehave = {}
    idp.hold = false
    idp.server = http.createServer((request, response) => {
      idp.#serve(request, response).catch((error) => response.writeHead(500).end(String(error?.stack ?? error)))
    })
    idp.port = await new Promise((resolve) => idp.server.listen(0, '127.0.0.1', () => resolve(idp.server.address().port)))
    idp.url = `http://localhost:${idp.port}`
    const { privateKey, certificate } = keyPair()
    idp.certificate = certificate
    const algorithm = Constants.algorithms.signature.RSA_SHA256
    const value = (name) => ({ name, valueTag: name, nameFormat: 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic', valueXsiType: 'xs:string' })
    idp.library = IdentityProvider({
      entityID: `${idp.url}/metadata`,
      privateKey,
      signingCert: certificate,
      wantAuthnRequestsSigned: true,
      requestSignatureAlgorithm: algorithm,
      nameIDFormat: [EMAIL],
      singleSignOnService: [{ Binding: Constants.namespace.binding.redirect, Location: `${idp.url}/sso` }],
      loginResponseTemplate: {
        context: SamlLib.defaultLoginResponseTemplate.context.replace('{AuthnStatement}', AUTHENTICATED),
        attributes: attributes.map(value),
      },
    })
    return idp
  }

  /** Settings for the gateway's API. */
  get config() {
    return {
      issuer_url: `${this.url}/metadata`,
      sso_target_url: `${this.url}/sso`,
      idp_public_certs: [this.certificate],
    }
  }

  /** Takes up the gateway by its metadata, as an administrator would. */
  trust(metadata) {
    this.relyingParty = ServiceProvider({ metadata })
  }

  /** Whether assertions are encrypted from now on, for the certificate of the metadata that was taken up last. */
  encrypt(on) {
    Object.assign(this.library.entitySetting, {
      isAssertionEncrypted: on,
      dataEncryptionAlgorithm: 'http://www.w3.org/2009/xmlenc11#aes256-gcm',
    })
  }

  /** Types a name into the login page. */
  async logIn(page, who) {
    await page.waitForURL(`${this.url}/sso**`)
    await page.fill('input[name=who]', who)
    await page.click('button')
  }

  async #serve(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.url)
    response.setHeader('content-type', 'text/html; charset=utf-8')
    if (pathname === '/sso' && request.method === 'GET') {
      response.end(`<!doctype html><title>Provider</title><form method=post>
        <label>Name <input name=who></label><button>Log in</button></form>`)
    } else if (pathname === '/sso') {
      const parts = []
      for await (const part of request) parts.push(part)
      const who = new URLSearchParams(Buffer.concat(parts).toString()).get('who')
      const answer = await this.#answer(request.url, searchParams, who)
      this.answers.push(answer)
      if (this.hold) return response.end('<!doctype html><title>Provider</title><h1>Held</h1>')
      response.end(posting(answer.action, answer.fields))
    } else if (pathname === '/send') {
      const { action, fields } = this.sending
      response.end(posting(action, fields))
    } else response.writeHead(404).end()
  }

  /** Has the page post any form to the gateway. */
  async send(page, action, fields) {
    this.sending = { action, fields }
    await page.goto(`${this.url}/send`)
    await page.waitForURL((url) => url.origin !== this.url)
  }

  async #answer(url, query, who) {
    const octetString = url.slice(url.indexOf('?') + 1).replace(/&Signature=.*$/, '')
    const asked = { query: Object.fromEntries(query), octetString }
    const request = await this.library.parseLoginRequest(this.relyingParty, 'redirect', asked) // checks our signature
    this.request = request
    const answer = await this.respond(who, request.extract.request.id)
    return { ...answer, fields: { ...answer.fields, RelayState: query.get('RelayState') } }
  }

  /** A signed response about `who`. */
  async respond(who, inResponseTo) {
    const { email, attributes } = this.people[who]
    const { library, relyingParty } = this
    const made = await library.createLoginResponse(relyingParty, {}, 'post', { email }, {
      customTagReplacement: (template) => {
        const now = new Date()
        const end = new Date(now.getTime() + 5 * 60_000).toISOString()
        const acs = relyingParty.entityMeta.getAssertionConsumerService('post')
        const values = Object.entries(attributes).map(([name, value]) => {
          const tag = `attr${name[0].toUpperCase()}${name.slice(1)}`
          return [tag, [value].flat().join(BETWEEN)]
        })
        const id = () => `_${crypto.randomUUID()}`
        const context = SamlLib.replaceTagsByValue(template, {
          ID: id(), AssertionID: id(), SessionIndex: id(), IssueInstant: now.toISOString(), Destination: acs,
          SubjectRecipient: acs, AssertionConsumerServiceURL: acs, Audience: relyingParty.entityMeta.getEntityID(),
          Issuer: library.entityMeta.getEntityID(), InResponseTo: inResponseTo, StatusCode: Constants.StatusCode.Success,
          ConditionsNotBefore: now.toISOString(), ConditionsNotOnOrAfter: end, SubjectConfirmationDataNotOnOrAfter: end,
          NameIDFormat: EMAIL, NameID: email, ...Object.fromEntries(values), ...this.misbehave,
        })
        const several = context.replace(/(<saml:AttributeValue[^>]*>)([^<]*)(<\/saml:AttributeValue>)/g, (_, start, text, end) =>
          text.split(BETWEEN).map((one) => start + one + end).join(''))
        return { id: 'unused', context: several.replace(/ InResponseTo=""/g, '') }
      },
    })
    return { action: made.entityEndpoint, fields: { SAMLResponse: made.context } }
  }

  stop() {
    this.server.closeAllConnections()
    this.server.close()
  }
}

function keyPair() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'narthex-saml-'))
  const at = (name) => path.join(dir, name)
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=provider',
    '-keyout', at('key.pem'), '-out', at('cert.pem')], { stdio: 'ignore' })
  const [privateKey, certificate] = ['key.pem', 'cert.pem'].map((name) => fs.readFileSync(at(name), 'utf8'))
  fs.rmSync(dir, { recursive: true })
  return { privateKey, certificate }
}
