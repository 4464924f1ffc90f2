// The main story: a stranger logs in and reaches an application; another is refused and sees why.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import { launch, newWindow } from './chromium.mjs'
import { Gateway, ROOT } from './gateway.mjs'
import { IdentityProvider, MailServer, Origin } from './peers.mjs'

const people = {
  ann: { email: 'ann@example.com', name: 'Ann Example', groups: ['staff', 'finance'] },
  bob: { email: 'bob@elsewhere.test', name: 'Bob Elsewhere', groups: [] },
}

let origin, mail, gateway, idp, browser, provider, codes, wiki, payroll

before(async () => {
  origin = await Origin.start()
  mail = await MailServer.start()
  gateway = await Gateway.start({
    smtp: mail.port,
    origins: { 'wiki.localhost': origin.service, 'payroll.localhost': origin.service, 'mail.localhost': origin.service },
  })
  idp = await IdentityProvider.start({ redirectUri: `${gateway.team}/cdn-cgi/access/callback`, people })
  provider = await gateway.access('POST', '/identity_providers', { name: 'Company login', type: 'oidc', config: idp.config })
  codes = await gateway.access('POST', '/identity_providers', { name: 'Code by mail', type: 'onetimepin', config: {} })
  const staff = { name: 'Staff', decision: 'allow', include: [{ email_domain: { domain: 'example.com' } }] }
  wiki = await gateway.protect('wiki.localhost', [staff])
  payroll = await gateway.protect('payroll.localhost', [
    {
      name: 'Finance',
      decision: 'allow',
      include: [{ oidc: { claim_name: 'groups', claim_value: 'finance', identity_provider_id: provider.id } }],
    },
  ])
  await gateway.protect('mail.localhost', [staff], { allowed_idps: [codes.id], auto_redirect_to_identity: false })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  idp?.stop()
  assert.equal(await gateway?.stop(), 0, 'narthexd drains and exits with 0')
  mail?.stop()
  origin?.stop()
})

async function logInAt(window, url, who) {
  const page = await window.newPage()
  await page.goto(url)
  assert.equal(new URL(page.url()).origin, gateway.team, 'sent to the team domain')
  await page.getByRole('button', { name: 'Company login' }).or(page.getByRole('link', { name: 'Company login' })).click()
  await idp.logIn(page, who)
  return page
}

/** Fills a field and presses the button of its form. */
async function submit(page, field, text) {
  await page.fill(field, text)
  await page.locator(`form:has(${field}) button`).click()
}

test('a person logs in by OpenID Connect and the application gets a token that others verify', async () => {
  const window = await newWindow(browser)
  const wanted = gateway.url('wiki.localhost', '/reports/2026?quarter=3&q=a%20b')
  const page = await logInAt(window, wanted, 'ann')
  await page.waitForURL(wanted)
  assert.match(await page.textContent('h1'), /Hello from wiki\.localhost/)

  const { headers } = origin.last
  const token = headers['cf-access-jwt-assertion']
  assert.equal(headers['cf-access-authenticated-user-email'], 'ann@example.com')
  const certs = `${gateway.team}/cdn-cgi/access/certs`

  const keys = createRemoteJWKSet(new URL(certs), {
    [customFetch]: async (url) => new Response((await gateway.request(url)).body),
  })
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer: gateway.team,
    audience: wiki.aud,
    algorithms: ['RS256'],
  })
  assert.deepEqual(Object.keys(protectedHeader), ['alg', 'kid', 'typ'])
  assert.equal(payload.email, 'ann@example.com')
  assert.equal(payload.type, 'app')
  assert.deepEqual(payload.aud, [wiki.aud])
  assert.equal(payload.exp - payload.iat, 24 * 3600)
  assert.match(payload.identity_nonce, /^[0-9A-Za-z]{16}$/)
  assert.deepEqual(payload.custom, { groups: ['staff', 'finance'] })

  const python = path.join(ROOT, 'e2e/.venv/bin/python')
  const out = execFileSync(python, [path.join(ROOT, 'e2e/clients/verify_token.py'), certs, gateway.team, wiki.aud, token], {
    env: { ...process.env, SSL_CERT_FILE: path.join(gateway.dir, 'data/local-ca.pem') },
  })
  assert.equal(JSON.parse(out).email, 'ann@example.com', 'PyJWT agrees')
  await window.close()
})

test('a second application opens without a prompt', async () => {
  const window = await newWindow(browser)
  const page = await logInAt(window, gateway.url('wiki.localhost'), 'ann')
  await page.waitForURL(gateway.url('wiki.localhost'))
  await page.goto(gateway.url('payroll.localhost', '/salaries'))
  assert.equal(page.url(), gateway.url('payroll.localhost', '/salaries'))
  assert.match(await page.textContent('h1'), /payroll/)
  await window.close()
})

test('somebody whom no policy admits is told why, and nothing reaches the application', async () => {
  const window = await newWindow(browser)
  const seen = origin.requests.length
  const page = await logInAt(window, gateway.url('wiki.localhost'), 'bob')
  await page.waitForSelector('text=That account does not have access')
  const text = await page.textContent('body')
  assert.match(text, /bob@elsewhere\.test/)
  assert.match(text, /[0-9a-f]{16}/, 'a Ray ID')
  assert.equal(origin.requests.length, seen)
  const [ray] = text.match(/[0-9a-f]{16}/)
  const record = await gateway.record(ray)
  assert.equal(record.allowed, false, 'the refusal can be looked up by its Ray ID')
  assert.equal(record.user_email, 'bob@elsewhere.test')
  await window.close()
})

test('a login code by mail works without JavaScript', async () => {
  const window = await newWindow(browser, { javaScriptEnabled: false })
  const page = await window.newPage()
  await page.goto(gateway.url('mail.localhost', '/inbox?folder=1'))
  await submit(page, 'input[type=email]', 'Ann@Example.com')
  await page.waitForSelector('input[autocomplete=one-time-code]')
  const code = await mail.codeFor('ann@example.com')
  const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0')
  await submit(page, 'input[autocomplete=one-time-code]', wrong)
  await page.waitForSelector('[role=alert]')
  await submit(page, 'input[autocomplete=one-time-code]', code)
  await page.waitForURL(gateway.url('mail.localhost', '/inbox?folder=1'))
  assert.match(await page.textContent('h1'), /mail\.localhost/)
  await window.close()
})

test('an address that no policy admits gets the same page and no mail', async () => {
  const window = await newWindow(browser)
  const page = await window.newPage()
  const mails = mail.mails.length
  await page.goto(gateway.url('mail.localhost'))
  await submit(page, 'input[type=email]', 'eve@elsewhere.test')
  await page.waitForSelector('input[autocomplete=one-time-code]')
  assert.equal(mail.mails.length, mails)
  await window.close()
})

test('after logging out the person is stopped, also with the old cookie', async () => {
  const window = await newWindow(browser)
  const page = await logInAt(window, gateway.url('wiki.localhost'), 'ann')
  await page.waitForURL(gateway.url('wiki.localhost'))
  const cookie = (await window.cookies(gateway.url('wiki.localhost'))).find((c) => c.name === 'CF_Authorization')
  assert.equal(cookie.httpOnly, true)
  await page.goto(gateway.url('wiki.localhost', '/cdn-cgi/access/logout'))
  await page.goto(gateway.url('wiki.localhost', '/again'))
  assert.equal(new URL(page.url()).origin, gateway.team)
  const replay = await gateway.request(gateway.url('wiki.localhost'), { headers: { cookie: `CF_Authorization=${cookie.value}` } })
  assert.equal(replay.status, 302, 'the old token is refused')
  await window.close()
})

test('pages can be used by keyboard and read by a screen reader', async () => {
  const window = await newWindow(browser)
  const page = await window.newPage()
  for (const url of [gateway.url('wiki.localhost'), gateway.url('mail.localhost')]) {
    const response = await page.goto(url)
    assert.match(response.headers()['content-security-policy'], /default-src 'none'/)
    assert.equal(await page.getAttribute('html', 'lang'), 'en')
    assert.ok(await page.title())
    assert.equal(await page.locator('h1').count(), 1)
    for (const field of await page.locator('input:not([type=hidden])').all()) {
      const name = await field.evaluate((e) => e.labels?.[0]?.textContent.trim() || e.getAttribute('aria-label'))
      assert.ok(name, 'every field has a label')
    }
    await page.keyboard.press('Tab')
    const focused = await page.evaluate(() => document.activeElement.tagName)
    assert.notEqual(focused, 'BODY', 'the keyboard reaches something')
  }
  await window.close()
})

test('a script asks with X-Requested-With and gets 401, not a redirect', async () => {
  const answer = await gateway.request(gateway.url('wiki.localhost'), { headers: { 'x-requested-with': 'XMLHttpRequest' } })
  assert.equal(answer.status, 401)
})

test('tokens that are not exactly right count as none', async () => {
  const window = await newWindow(browser)
  const page = await logInAt(window, gateway.url('payroll.localhost'), 'ann')
  await page.waitForURL(gateway.url('payroll.localhost'))
  const cookies = await window.cookies()
  const token = cookies.find((c) => c.name === 'CF_Authorization' && c.domain === 'payroll.localhost').value
  const org = cookies.find((c) => c.name === 'CF_Authorization' && c.domain === 'team.localhost').value
  const at = async (host, value) =>
    (await gateway.request(gateway.url(host), { headers: { cookie: `CF_Authorization=${value}` } })).status
  assert.equal(await at('payroll.localhost', token), 200)
  const flipped = token.slice(0, -10) + (token.at(-10) === 'A' ? 'B' : 'A') + token.slice(-9)
  assert.equal(await at('payroll.localhost', flipped), 302, 'one letter changed')
  assert.equal(await at('wiki.localhost', token), 302, 'a token of another application')
  assert.equal(await at('payroll.localhost', org), 302, 'the global session token')
  await window.close()
})
