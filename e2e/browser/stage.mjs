// What all stories about cookies share: one gateway, one identity provider that knows Ann, an origin, a page of another
// site, and for each kind of browser one that is normal and one that is private.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway } from './gateway.mjs'
import { Journal } from './journal.mjs'
import { IdentityProvider, Origin } from './peers.mjs'

const STAFF = { name: 'Staff', decision: 'allow', include: [{ email_domain: { domain: 'example.com' } }] }
const ANN = { email: 'ann@example.com', name: 'Ann Example', groups: ['staff'] }

export class Stage {
  /** `hosts` are those of all applications, as patterns of the ingress. */
  static async open(hosts) {
    const stage = new Stage()
    try {
      await stage.#open(hosts)
    } catch (error) {
      await stage.#dismiss() // a server that still listens keeps the test run from ending
      throw error
    }
    return stage
  }

  async #open(hosts) {
    this.origin = await Origin.start()
    this.elsewhere = await Origin.start()
    const origins = Object.fromEntries(hosts.map((host) => [host, this.origin.service]))
    this.gateway = await Gateway.start({ origins, zones: ['invalid'], extra: '[log]\nrequests = "all"' })
    this.journal = new Journal(this.gateway)
    const redirectUri = `${this.gateway.team}/cdn-cgi/access/callback`
    this.idp = await IdentityProvider.start({ redirectUri, people: { ann: ANN }, knows: 'ann' })
    const provider = { name: 'Company login', type: 'oidc', config: this.idp.config }
    this.provider = await this.gateway.access('POST', '/identity_providers', provider)
  }

  async close() {
    assert.equal(await this.#dismiss(), 0, 'narthexd drains and exits with 0')
  }

  async #dismiss() {
    const code = await this.gateway?.stop()
    for (const server of [this.idp, this.elsewhere, this.origin]) server?.stop()
    return code
  }

  /** An application; whoever comes is sent to the identity provider at once. */
  protect(destinations, settings) {
    return this.gateway.access('POST', '/apps', {
      type: 'self_hosted',
      name: destinations[0],
      destinations: destinations.map((uri) => ({ type: 'public', uri })),
      policies: [{ precedence: 1, ...STAFF }],
      allowed_idps: [this.provider.id],
      auto_redirect_to_identity: true,
      ...settings,
    })
  }

  url(host, rest = '/') {
    return this.gateway.url(host, rest)
  }

  /** The origin of pages on `host`, as browsers write it. */
  pagesOf(host) {
    return new URL(this.url(host)).origin
  }

  /** A page of a site that has nothing to do with the gateway. */
  get elsewherePage() {
    return `http://elsewhere.localhost:${this.elsewhere.port}/`
  }

  /** What the gateway answered since this was last asked, as `a authorized 302`: host, path, status. */
  async steps() {
    const entries = await this.journal.since()
    const last = (path) => (path.startsWith('/cdn-cgi/access/') ? path.split('/')[3] : path)
    return entries.map(({ host, path, status }) => `${host.replace('team.localhost', 'team')} ${last(path)} ${status}`)
  }

  /** How often the browser was sent to log in since this was last asked. */
  async rounds() {
    return (await this.steps()).filter((step) => step.startsWith('team login ')).length
  }

  /** Whether the token that a browser holds opens a page, with or without its binding cookie. */
  async opens(url, cookies) {
    const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
    return (await this.gateway.request(url, { headers: { cookie } })).status === 200
  }
}

/** Follows a link that a page of another site shows. */
export async function followLinkFromElsewhere(stage, window, wanted) {
  await window.goto(stage.elsewherePage)
  await window.follow(
    wanted,
    (url) => {
      const link = document.createElement('a')
      link.href = url
      document.body.append(link)
      link.click()
    },
    wanted,
  )
}

/** What a script of the page gets from `url`: status and body, or 'blocked' when the browser lets it see nothing. */
export function fetchIn(window, url, headers = {}) {
  const ask = async (url, headers) => {
    try {
      const answer = await fetch(url, { credentials: 'include', headers })
      return { status: answer.status, body: await answer.text() }
    } catch {
      return { status: 'blocked' }
    }
  }
  return window.run(ask, url, headers)
}

/** Asks as scripts should that want 401 in place of a redirect. */
export const XHR = { 'x-requested-with': 'XMLHttpRequest', accept: 'application/json' }

/** One test in a window of its own; says where the browser was when it fails. */
export function story(name, { stage, browser, options = () => ({}) }, body) {
  test(name, async () => {
    const window = await browser().newWindow(options())
    await stage().journal.since()
    try {
      await body(window, stage())
    } catch (error) {
      const steps = (await stage().steps().catch(() => [])).map((step) => `\n    ${step}`).join('')
      throw new Error(`${error.message}\n${await window.describe()}\n  answered since the last look:${steps}`, { cause: error })
    } finally {
      await window.close()
    }
  })
}
