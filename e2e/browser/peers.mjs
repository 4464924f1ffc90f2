// What stands around the gateway in a story: an application, an identity provider and a mail server, none of them ours.

import http from 'node:http'
import { simpleParser } from 'mailparser'
import Provider from 'oidc-provider'
import { SMTPServer } from 'smtp-server'

function listen(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))
}

/**
 * An application that remembers every request and answers with what it saw. Below `/data` it is the kind that pages of
 * other sites fetch from: JSON, with the CORS fields that let them.
 */
export class Origin {
  static async start() {
    const origin = new Origin()
    origin.requests = []
    origin.server = http.createServer((request, response) => {
      const { method, url, headers } = request
      const parts = []
      request.on('data', (part) => parts.push(part))
      request.on('end', () => {
        origin.requests.push({ method, url, headers, body: Buffer.concat(parts) })
        if (/\/data\b/.test(url)) return data(request, response)
        response.setHeader('content-type', 'text/html; charset=utf-8')
        response.end(`<!doctype html><title>Application</title><link rel=icon href="data:,">
          <h1>Hello from ${headers.host}</h1><p id=url>${url}</p>`)
      })
    })
    origin.port = await listen(origin.server)
    origin.service = `http://127.0.0.1:${origin.port}`
    return origin
  }

  get last() {
    return this.requests.at(-1)
  }

  stop() {
    this.server.closeAllConnections()
    this.server.close()
  }
}

function data(request, response) {
  const { origin, host, 'access-control-request-headers': asked } = request.headers
  if (origin) {
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('access-control-allow-credentials', 'true')
    response.setHeader('vary', 'origin')
  }
  if (request.method === 'OPTIONS') {
    if (asked) response.setHeader('access-control-allow-headers', asked)
    return response.writeHead(204).end()
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ from: host, who: request.headers['cf-access-authenticated-user-email'] }))
}

/**
 * `oidc-provider`, a certified OpenID provider, with its own development login page. With `knows` it asks nothing: its
 * session with that person has begun long ago.
 */
export class IdentityProvider {
  static async start({ redirectUri, people, knows }) {
    const idp = new IdentityProvider()
    idp.server = http.createServer((request, response) => idp.callback(request, response))
    idp.port = await listen(idp.server)
    idp.issuer = `http://localhost:${idp.port}`
    idp.secret = 'a-secret-that-only-tests-know'
    const provider = new Provider(idp.issuer, {
      clients: [
        { client_id: 'narthex', client_secret: idp.secret, redirect_uris: [redirectUri], response_types: ['code'] },
      ],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
      scopes: ['openid', 'email', 'profile', 'groups'],
      pkce: { required: () => true },
      features: { devInteractions: { enabled: !knows } },
      interactions: { url: (context, { uid }) => `/interaction/${uid}` },
      cookies: { keys: ['a key for a test'] },
      async findAccount(context, id) {
        const person = people[id]
        return person && { accountId: id, claims: async () => ({ sub: id, email_verified: true, ...person }) }
      },
    })
    const callback = provider.callback()
    idp.callback = (request, response) => {
      if (!knows || !request.url.startsWith('/interaction/')) return callback(request, response)
      return agree(provider, knows, request, response).catch((error) => response.writeHead(500).end(String(error)))
    }
    return idp
  }

  /** Settings for the gateway's API. */
  get config() {
    return {
      client_id: 'narthex',
      client_secret: this.secret,
      auth_url: `${this.issuer}/auth`,
      token_url: `${this.issuer}/token`,
      certs_url: `${this.issuer}/jwks`,
      scopes: ['openid', 'email', 'profile', 'groups'],
      claims: ['groups'],
    }
  }

  /** Types a name into the provider's own pages and consents. */
  async logIn(page, who) {
    await page.waitForURL(`${this.issuer}/**`)
    await page.fill('input[name=login]', who)
    await page.fill('input[name=password]', 'anything')
    await page.click('button[type=submit]')
    await page.waitForSelector('button:has-text("Continue")')
    await page.click('button:has-text("Continue")')
  }

  stop() {
    this.server.closeAllConnections()
    this.server.close()
  }
}

/** Says yes to all that the provider would ask a person. */
async function agree(provider, accountId, request, response) {
  const { params } = await provider.interactionDetails(request, response)
  const grant = new provider.Grant({ accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  const result = { login: { accountId }, consent: { grantId: await grant.save() } }
  await provider.interactionFinished(request, response, result)
}

/** An SMTP server that keeps what it is given. */
export class MailServer {
  static async start() {
    const mail = new MailServer()
    mail.mails = []
    mail.waiting = []
    mail.server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData(stream, session, done) {
        simpleParser(stream).then((parsed) => {
          mail.mails.push(parsed)
          mail.waiting.splice(0).forEach((wake) => wake())
          done()
        }, done)
      },
    })
    mail.server.listen(0, '127.0.0.1')
    await new Promise((resolve) => mail.server.server.once('listening', resolve))
    mail.port = mail.server.server.address().port
    return mail
  }

  /** The code in the newest mail to `address`; waits for it. */
  async codeFor(address) {
    for (;;) {
      const found = this.mails.filter((m) => m.to.text.includes(address)).at(-1)
      if (found) return found.text.match(/\b\d{6}\b/)[0]
      await new Promise((resolve) => this.waiting.push(resolve))
    }
  }

  stop() {
    this.server.close()
  }
}
