// A login by SAML: at a provider that we did not write, in a browser; and what a hostile provider or page may try.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import { launch, newWindow } from './chromium.mjs'
import { Gateway, ROOT } from './gateway.mjs'
import { Origin } from './peers.mjs'
import { SamlProvider } from './saml-peer.mjs'

const people = {
  ann: { email: 'Ann@example.com', attributes: { dept: 'Zoë & Söhne', group: ['staff', 'finance'], salary: '1000' } },
  bob: { email: 'bob@example.com', attributes: { dept: 'it', group: 'staff', salary: '900' } },
}

let origin, gateway, idp, browser, provider, wiki

before(async () => {
  origin = await Origin.start()
  gateway = await Gateway.start({ origins: { 'wiki.localhost': origin.service, 'payroll.localhost': origin.service } })
  idp = await SamlProvider.start({ people, attributes: ['dept', 'group', 'salary'] })
  provider = await gateway.access('POST', '/identity_providers', {
    name: 'Company SAML',
    type: 'saml',
    config: {
      ...idp.config,
      sign_request: true,
      attributes: ['dept', 'group'],
      header_attributes: [{ attribute_name: 'group', header_name: 'X-Group' }],
    },
  })
  await takeUpMetadata()
  const once = { allowed_idps: [provider.id], auto_redirect_to_identity: true }
  const staff = { name: 'Staff', decision: 'allow', include: [{ email_domain: { domain: 'example.com' } }] }
  wiki = await gateway.protect('wiki.localhost', [staff], once)
  const attribute = { attribute_name: 'group', attribute_value: 'finance', identity_provider_id: provider.id }
  await gateway.protect('payroll.localhost', [{ name: 'Finance', decision: 'allow', include: [{ saml: attribute }] }], once)
  browser = await launch()
})

beforeEach(() => {
  idp.misbehave = {}
  idp.hold = false
  idp.encrypt(false)
})

after(async () => {
  await browser?.close()
  idp?.stop()
  assert.equal(await gateway?.stop(), 0, 'narthexd drains and exits with 0')
  origin?.stop()
})

async function takeUpMetadata() {
  const metadata = await gateway.request(`${gateway.team}/cdn-cgi/access/${provider.id}/saml-metadata`)
  assert.match(metadata.headers['content-type'], /xml/)
  idp.trust(metadata.body)
}

/** A new window that logs in, as far as the gateway's answer to the provider's form. */
async function logIn(who, url = gateway.url('wiki.localhost', '/page?a=b')) {
  const window = await newWindow(browser)
  const page = await window.newPage()
  await page.goto(url)
  await idp.logIn(page, who)
  return { window, page, url }
}

const callback = () => `${gateway.team}/cdn-cgi/access/callback`
const isLoggedIn = async (window) => (await window.cookies()).some((c) => c.name === 'CF_Authorization')

async function refused({ window, page }, heading, reason) {
  await page.waitForSelector(`h1:has-text("${heading}")`)
  assert.equal(await isLoggedIn(window), false, 'nobody is logged in')
  if (reason) {
    const ray = (await page.textContent('body')).match(/[0-9a-f]{16}/)[0]
    assert.match(JSON.stringify(await gateway.record(ray)), reason)
  }
  await window.close()
}

test('a person logs in by SAML, and the application gets the chosen attributes in a token that others verify', async () => {
  const window = await newWindow(browser)
  const page = await window.newPage()
  const posts = []
  page.on('request', (request) => request.url() === callback() && posts.push(request))
  await page.goto(gateway.url('wiki.localhost', '/page?a=b'))
  await idp.logIn(page, 'ann')
  await page.waitForURL(gateway.url('wiki.localhost', '/page?a=b'))
  assert.match(await page.textContent('h1'), /Hello from wiki\.localhost/)
  assert.equal(idp.request.sigAlg, 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'our request was signed')
  const [post] = posts
  assert.equal((await post.allHeaders())['sec-fetch-site'], 'cross-site', 'the form came from another site')
  const answer = await post.response()
  assert.equal(answer.status(), 303)
  const groups = (await answer.headersArray()).filter(({ name }) => name.toLowerCase() === 'x-group')
  assert.deepEqual(groups.flatMap(({ value }) => value.split(/[\n,] ?/)), ['staff', 'finance'], 'header_attributes')

  const token = origin.last.headers['cf-access-jwt-assertion']
  const certs = `${gateway.team}/cdn-cgi/access/certs`
  const keys = createRemoteJWKSet(new URL(certs), {
    [customFetch]: async (url) => new Response((await gateway.request(url)).body),
  })
  const { payload } = await jwtVerify(token, keys, { issuer: gateway.team, audience: wiki.aud, algorithms: ['RS256'] })
  const custom = { dept: 'Zoë & Söhne', group: ['staff', 'finance'] }
  assert.equal(payload.email, 'ann@example.com')
  assert.deepEqual(payload.custom, custom)
  const python = path.join(ROOT, 'e2e/.venv/bin/python')
  const out = execFileSync(python, [path.join(ROOT, 'e2e/clients/verify_token.py'), certs, gateway.team, wiki.aud, token], {
    env: { ...process.env, SSL_CERT_FILE: path.join(gateway.dir, 'data/local-ca.pem') },
  })
  assert.deepEqual(JSON.parse(out).custom, custom, 'PyJWT agrees')

  await page.goto(`${gateway.team}/cdn-cgi/access/get-identity`)
  const identity = JSON.parse(await page.textContent('body'))
  assert.deepEqual(identity.saml_attributes, custom)
  assert.deepEqual(identity.custom, custom)
  assert.deepEqual(identity.idp, { id: provider.id, type: 'saml' })
  assert.deepEqual(identity.amr, ['mfa'])
  assert.equal(identity.id, 'Ann@example.com')
  assert.ok(!JSON.stringify(identity).includes('salary'), 'what was not chosen is not kept')
  const org = (await window.cookies()).find((c) => c.name === 'CF_Authorization' && c.domain === 'team.localhost').value
  const global = JSON.parse(Buffer.from(org.split('.')[1], 'base64url'))
  assert.deepEqual([global.type, global.custom], ['org', undefined])

  await page.goto(gateway.url('payroll.localhost'))
  assert.match(await page.textContent('h1'), /payroll/, 'a policy asks for an attribute, and the session has it')
  await window.close()
})

test('a policy that asks for an attribute refuses whoever lacks the value, and says so', async () => {
  const { window, page } = await logIn('bob', gateway.url('payroll.localhost'))
  await page.waitForSelector('text=That account does not have access')
  const ray = (await page.textContent('body')).match(/[0-9a-f]{16}/)[0]
  assert.match(JSON.stringify(await gateway.record(ray)), /group/)
  await window.close()
})

test('a response is good once', async () => {
  const first = await logIn('ann')
  await first.page.waitForURL(first.url)
  const { action, fields } = idp.answers.at(-1)
  await first.window.clearCookies({ name: 'CF_Authorization' })
  await idp.send(first.page, action, fields)
  await refused(first, 'This login is over')

  // The same response as the answer to a login that this browser has just begun.
  idp.hold = true
  const second = await logIn('ann')
  await second.page.waitForSelector('h1:has-text("Held")')
  const { RelayState } = idp.answers.at(-1).fields
  await idp.send(second.page, action, { ...fields, RelayState })
  await refused(second, "Your identity provider's answer cannot be used", /InResponseTo/)
})

test('a provider that uses the id of an assertion again is refused, also after a restart', async () => {
  idp.misbehave = { AssertionID: '_the-same-each-time' }
  const first = await logIn('ann')
  await first.page.waitForURL(first.url)
  await first.window.close()
  await refused(await logIn('ann'), "Your identity provider's answer cannot be used", /used before/)
  gateway.process.kill('SIGTERM')
  await gateway.ended
  await gateway.run()
  await refused(await logIn('ann'), "Your identity provider's answer cannot be used", /used before/)
})

test("a response that was meant for one browser logs nobody in on another", async () => {
  idp.hold = true
  const attacker = await logIn('bob')
  await attacker.page.waitForSelector('h1:has-text("Held")')
  const { action, fields } = idp.answers.at(-1)
  await attacker.window.close()

  const victim = await logIn('ann') // has begun a login of its own
  await victim.page.waitForSelector('h1:has-text("Held")')
  await idp.send(victim.page, action, fields)
  await refused(victim, 'Invalid session')

  const stranger = await newWindow(browser)
  const page = await stranger.newPage()
  await idp.send(page, action, fields)
  await refused({ window: stranger, page }, 'This login is over')
})

test('a response for somebody else, from somebody else, or out of date is refused', async () => {
  const elsewhere = 'https://other.localhost/cdn-cgi/access/callback'
  const past = '2026-01-01T00:00:00.000Z'
  for (const [misbehave, reason] of [
    [{ Audience: elsewhere }, /Audience/],
    [{ SubjectRecipient: elsewhere }, /Recipient/],
    [{ Destination: elsewhere }, /Destination/],
    [{ Issuer: 'http://localhost/other' }, /Issuer/],
    [{ InResponseTo: '_another' }, /InResponseTo/],
    [{ ConditionsNotOnOrAfter: past, SubjectConfirmationDataNotOnOrAfter: past }, /expired/],
  ]) {
    idp.misbehave = misbehave
    await refused(await logIn('ann'), "Your identity provider's answer cannot be used", reason)
  }
})

test('a response that was changed after it was signed is refused', async () => {
  idp.hold = true
  const login = await logIn('bob')
  await login.page.waitForSelector('h1:has-text("Held")')
  const { action, fields } = idp.answers.at(-1)
  const xml = Buffer.from(fields.SAMLResponse, 'base64').toString()
  const forged = xml.replaceAll('bob@example.com', 'ann@example.com')
  assert.notEqual(forged, xml)
  await idp.send(login.page, action, { ...fields, SAMLResponse: Buffer.from(forged).toString('base64') })
  await refused(login, "Your identity provider's answer cannot be used", /signature/)
})

test('a login that begins at the provider is sent to begin at the application', async () => {
  const window = await newWindow(browser)
  const page = await window.newPage()
  const { action, fields } = await idp.respond('ann', '')
  await idp.send(page, action, fields)
  await refused({ window, page }, 'Begin at your application')

  const other = await newWindow(browser)
  const second = await other.newPage()
  await idp.send(second, action, { ...fields, RelayState: gateway.url('wiki.localhost') })
  await refused({ window: other, page: second }, 'Begin at your application')
})

test('an encrypted assertion is opened with the keys of the certificate set, and with no others', async () => {
  const unusable = "Your identity provider's answer cannot be used"
  const set = await gateway.access('POST', `/identity_providers/${provider.id}/saml_certificate`)
  const at = `/identity_providers/${provider.id}`
  const change = async (enable_encryption) => {
    const { name, type, config } = await gateway.access('GET', at)
    const body = { name, type, config: { ...config, enable_encryption }, saml_certificate_set_id: set.uid }
    await gateway.access('PUT', at, body)
  }
  const opens = async () => {
    const { window, page, url } = await logIn('ann')
    await page.waitForURL(url)
    await window.close()
  }
  await takeUpMetadata()
  idp.encrypt(true)
  await refused(await logIn('ann'), unusable, /no decryption key/)
  await change(true)
  await opens()
  assert.match(Buffer.from(idp.answers.at(-1).fields.SAMLResponse, 'base64').toString(), /EncryptedAssertion/)
  idp.misbehave = { NameID: 'mallory@elsewhere.test' }
  const stranger = await logIn('ann')
  await stranger.page.waitForSelector('text=That account does not have access')
  await stranger.window.close()
  idp.misbehave = {}

  const rotate = () => gateway.access('POST', `/saml_certificates/${set.uid}/rotate`)
  await rotate()
  await opens() // the provider still encrypts for the certificate before
  await rotate()
  await refused(await logIn('ann'), unusable, /could not be opened/)
  await takeUpMetadata()
  await opens()
  const pem = await gateway.request(gateway.url('admin.localhost', `/client/v4/accounts/${gateway.account}/access/saml_certificates/${set.uid}/pem`), {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  assert.match(pem.body, /^-----BEGIN CERTIFICATE-----/)
})
