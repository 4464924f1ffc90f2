// Debian's Firefox, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks itself.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { WebSocket } from 'ws'
import { answered, Window } from './window.mjs'

const WHERE = ['/usr/bin/firefox-esr', '/usr/bin/firefox']

/** What keeps a fresh profile from asking the world for anything. Cookie settings stay as they come. */
const PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.aboutwelcome.enabled': false,
  'browser.newtabpage.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.search.update': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'browser.tabs.warnOnClose': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.disable_open_during_load': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.reportingpolicy.firstRun': false,
}

export const firefox = {
  name: 'Firefox',
  sharesCookies: { normal: false, private: false }, // "Total Cookie Protection", everywhere
  partitionsCookies: true,
  missing: () => (process.env.FIREFOX || WHERE.some(existsSync) ? undefined : 'Firefox is not installed'),
  knowsExceptions: true,
  launch: ({ isPrivate = false } = {}) => Firefox.launch(isPrivate),
}

class Firefox {
  static async launch(isPrivate) {
    const browser = new Firefox()
    browser.isPrivate = isPrivate
    browser.dir = mkdtempSync(path.join(os.tmpdir(), 'narthex-firefox-'))
    const preferences = { ...PREFERENCES, 'browser.privatebrowsing.autostart': isPrivate }
    const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`)
    writeFileSync(path.join(browser.dir, 'user.js'), lines.join(''))
    browser.process = spawn(
      process.env.FIREFOX ?? WHERE.find(existsSync),
      ['--headless', '--no-remote', '--profile', browser.dir, '--remote-debugging-port', '0',
        '--remote-allow-system-access', 'about:blank'],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: browser.dir } },
    )
    browser.ended = new Promise((resolve) => browser.process.once('exit', resolve))
    try {
      const address = await answered('where it listens', browser.#listening())
      browser.bidi = await Bidi.connect(`${address}/session`)
      await browser.bidi.call('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } })
    } catch (error) {
      await browser.#end()
      throw error
    }
    return browser
  }

  /** The address that Firefox prints once it listens. */
  #listening() {
    return new Promise((resolve, reject) => {
      let said = ''
      this.process.stderr.on('data', (text) => {
        if (said.length < 100_000) said += text
        const found = said.match(/WebDriver BiDi listening on (ws:\S+)/)
        if (found) resolve(found[1])
      })
      this.process.once('error', reject)
      this.ended.then((code) => reject(new Error(`Firefox ended with ${code}: ${said}`)))
    })
  }

  /** A tab in a container of its own. Private windows know no containers, so there each begins by forgetting all. */
  async newWindow({ trusted = [] } = {}) {
    const container = this.isPrivate ? {} : await this.bidi.call('browser.createUserContext')
    const tab = { type: 'tab', ...container }
    const { context } = await this.bidi.call('browsingContext.create', tab)
    const window = new FirefoxWindow(this.bidi, context, container.userContext)
    if (this.isPrivate) {
      await window.asFirefox(forgetAllPrivate, PRIVATE)
      for (const origin of trusted) await window.asFirefox(trustInPrivate, PRIVATE, origin)
    }
    return window
  }

  async close() {
    await this.bidi.call('browser.close').catch(() => {})
    await this.#end()
  }

  async #end() {
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 10_000)
    if (!this.bidi) this.process.kill('SIGTERM')
    await this.ended
    clearTimeout(timer)
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

class FirefoxWindow extends Window {
  constructor(bidi, context, container) {
    super()
    this.bidi = bidi
    this.context = context
    this.container = container
  }

  open(url) {
    return this.bidi.call('browsingContext.navigate', { context: this.context, url, wait: 'none' })
  }

  async url() {
    const { contexts } = await this.bidi.call('browsingContext.getTree', { root: this.context, maxDepth: 0 })
    return contexts[0].url
  }

  run(action, ...args) {
    return this.#evaluate(this.context, action, args)
  }

  /** Runs a function in the browser's own pages, which see what BiDi does not show. */
  async asFirefox(action, ...args) {
    const { contexts } = await this.bidi.call('browsingContext.getTree', { 'moz:scope': 'chrome', maxDepth: 0 })
    return this.#evaluate(contexts[0].context, action, args)
  }

  async #evaluate(context, action, args) {
    const { result, exceptionDetails } = await this.bidi.call('script.evaluate', {
      expression: `(async () => JSON.stringify(await (${action})(...${JSON.stringify(args)})))()`,
      target: { context },
      awaitPromise: true,
    })
    if (exceptionDetails) throw new Error(exceptionDetails.text)
    return result.type === 'undefined' ? undefined : JSON.parse(result.value)
  }

  async storedCookies() {
    const url = new URL(await this.url())
    const goes = ({ domain, path }) =>
      (domain === url.hostname || (domain.startsWith('.') && `.${url.hostname}`.endsWith(domain))) && covers(path, url.pathname)
    const cookies = await (this.container ? this.#containerCookies() : this.asFirefox(privateCookies, PRIVATE))
    return cookies.filter(goes).map(({ domain, ...cookie }) => ({ ...cookie, hostOnly: !domain.startsWith('.') }))
  }

  async #containerCookies() {
    const { cookies } = await this.bidi.call('storage.getCookies', { partition: this.#partition() })
    return cookies.map(({ name, value, domain, path, secure, httpOnly, sameSite }) => ({
      name, value: value.value, domain, path, secure, httpOnly, sameSite,
    }))
  }

  async forget(name) {
    const domain = new URL(await this.url()).hostname
    if (this.container) {
      await this.bidi.call('storage.deleteCookies', { filter: { name, domain }, partition: this.#partition() })
    } else {
      await this.asFirefox(forgetPrivate, PRIVATE, name, domain)
    }
  }

  #partition() {
    return { type: 'context', context: this.context }
  }

  async close() {
    await this.bidi.call('browsingContext.close', { context: this.context })
    if (this.container) await this.bidi.call('browser.removeUserContext', { userContext: this.container })
  }
}

/** Cookies of private windows, in the browser's own terms. */
const PRIVATE = JSON.stringify({ privateBrowsingId: 1 })

/* global Ci, Services */
function privateCookies(which) {
  const sameSite = { 0: 'none', 1: 'lax', 2: 'strict' }
  return Services.cookies
    .getCookiesWithOriginAttributes(which)
    .filter((cookie) => cookie.originAttributes.partitionKey === '')
    .map((cookie) => ({ name: cookie.name, value: cookie.value, domain: cookie.host, path: cookie.path,
      secure: cookie.isSecure, httpOnly: cookie.isHttpOnly, sameSite: sameSite[cookie.sameSite] ?? 'unset' }))
}

function forgetAllPrivate(which) {
  Services.cookies.removeCookiesWithOriginAttributes(which)
  Services.perms.removeAll()
}

function forgetPrivate(which, name, domain) {
  for (const cookie of Services.cookies.getCookiesWithOriginAttributes(which)) {
    if (cookie.name !== name || cookie.host !== domain) continue
    Services.cookies.remove(domain, name, cookie.path, cookie.originAttributes)
  }
}

/** What "Manage exceptions" of the settings does, for private windows. */
function trustInPrivate(attributes, origin) {
  const principal = Services.scriptSecurityManager.createContentPrincipal(Services.io.newURI(origin), JSON.parse(attributes))
  Services.perms.addFromPrincipal(principal, 'cookie', Ci.nsICookiePermission.ACCESS_ALLOW)
}

/** Whether a cookie's `Path` covers a path (RFC 6265 §5.1.4). */
function covers(cookie, path) {
  return path === cookie || (path.startsWith(cookie) && (cookie.endsWith('/') || path[cookie.length] === '/'))
}

/** Commands and their answers over one WebSocket. */
class Bidi {
  static async connect(url) {
    const bidi = new Bidi()
    bidi.waiting = new Map()
    bidi.last = 0
    bidi.socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 1 << 28 })
    bidi.socket.on('message', (text) => bidi.#heard(JSON.parse(text)))
    bidi.socket.on('close', () => bidi.#lost(new Error('Firefox has ended')))
    await new Promise((resolve, reject) => bidi.socket.once('open', resolve).once('error', reject))
    return bidi
  }

  call(method, params = {}) {
    const id = ++this.last
    const answer = new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, method })
      this.socket.send(JSON.stringify({ id, method, params }), (error) => error && reject(error))
    })
    return answered(method, answer)
  }

  #heard(message) {
    const call = this.waiting.get(message.id)
    if (!call) return
    this.waiting.delete(message.id)
    if (message.type === 'success') call.resolve(message.result)
    else call.reject(new Error(`${call.method}: ${message.error}: ${message.message}`))
  }

  #lost(error) {
    for (const call of this.waiting.values()) call.reject(error)
    this.waiting.clear()
  }
}
