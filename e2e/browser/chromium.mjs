// Debian's Chromium, driven by playwright-core.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { chromium as playwright } from 'playwright-core'
import { until, Window } from './window.mjs'

const WHERE = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

function options() {
  return {
    executablePath: process.env.CHROMIUM ?? WHERE.find(existsSync),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  }
}

export function launch() {
  return playwright.launch(options())
}

/** A private window: own cookies. The local CA is not in the browser's store, so its warning is switched off. */
export function newWindow(browser, options = {}) {
  return browser.newContext({ ignoreHTTPSErrors: true, ...options })
}

export const chromium = {
  name: 'Chromium',
  sharesCookies: { normal: true, private: false },
  partitionsCookies: true,
  missing: () => (process.env.CHROMIUM || WHERE.some(existsSync) ? undefined : 'Chromium is not installed'),
  knowsExceptions: true,
  launch: ({ isPrivate = false } = {}) => (isPrivate ? launchPrivate() : launchProfile({ blocks: false })),
}

/** Contexts of the driver are what the person knows as incognito windows. */
async function launchPrivate() {
  const browser = await launch()
  return {
    newWindow: async ({ trusted = [] } = {}) => {
      if (trusted.length > 0) return trustingWindow(trusted)
      const context = await newWindow(browser)
      return new ChromiumWindow(await context.newPage(), () => context.close())
    },
    close: () => browser.close(),
  }
}

/** Incognito windows take exceptions over from a profile; one that blocks as they do shows the same. */
async function trustingWindow(trusted) {
  const profile = await launchProfile({ blocks: true, trusted })
  const window = await profile.newWindow()
  window.close = profile.close
  return window
}

/**
 * Only a profile on disk has normal windows, and settings. Its windows share their cookies, so each begins by forgetting
 * all. `blocks`: third-party cookies are blocked as in private windows, but for those of the `trusted` origins.
 */
async function launchProfile({ blocks, trusted = [] }) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'narthex-chromium-'))
  const cookies = Object.fromEntries(trusted.map((origin) => [`${origin},*`, { setting: 1 }]))
  const profile = { cookie_controls_mode: blocks ? 1 : 0, content_settings: { exceptions: { cookies } } }
  mkdirSync(path.join(dir, 'Default'))
  writeFileSync(path.join(dir, 'Default/Preferences'), JSON.stringify({ profile }))
  const context = await playwright.launchPersistentContext(dir, { ...options(), ignoreHTTPSErrors: true })
  return {
    newWindow: async () => {
      await context.clearCookies()
      const page = await context.newPage()
      return new ChromiumWindow(page, () => page.close())
    },
    close: async () => {
      await context.close()
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/**
 * A browser of somebody who has installed `certificate` ({ p12, password }) in the store that Chromium has on Linux, or none.
 * It chooses that for `origin` without asking, as the policy AutoSelectCertificateForUrls makes it; policies lie where only
 * root may write, so it is set where the profile keeps it.
 */
export async function launchHolder(origin, certificate) {
  const home = mkdtempSync(path.join(os.tmpdir(), 'narthex-chromium-'))
  const store = path.join(home, '.pki/nssdb')
  mkdirSync(store, { recursive: true })
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password'])
  if (certificate) execFileSync('pk12util', ['-d', `sql:${store}`, '-i', certificate.p12, '-W', certificate.password])
  const profile = { managed_auto_select_certificate_for_urls: [JSON.stringify({ pattern: origin, filter: {} })] }
  mkdirSync(path.join(home, 'profile/Default'), { recursive: true })
  writeFileSync(path.join(home, 'profile/Default/Preferences'), JSON.stringify({ profile }))
  const env = { ...process.env, HOME: home }
  const settings = { ...options(), env, ignoreHTTPSErrors: true }
  const context = await playwright.launchPersistentContext(path.join(home, 'profile'), settings)
  return {
    newPage: () => context.newPage(),
    close: async () => {
      await context.close()
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

class ChromiumWindow extends Window {
  constructor(page, close) {
    super()
    this.page = page
    this.context = page.context()
    this.close = close
  }

  async open(url) {
    await this.page.goto(url, { waitUntil: 'commit' }).catch(async (error) => {
      // Its error page comes a moment later, and would interrupt whatever is opened next.
      if (error.message.includes('net::ERR')) await until('the error page', () => this.page.url().startsWith('chrome-error:'))
      throw error
    })
  }

  async url() {
    return this.page.url()
  }

  run(action, ...args) {
    return this.page.evaluate(`(${action})(...${JSON.stringify(args)})`)
  }

  async storedCookies() {
    const cookies = await this.context.cookies(this.page.url())
    return cookies.map(({ name, value, domain, path, secure, httpOnly, sameSite, partitionKey }) => ({
      name, value, path, secure, httpOnly, hostOnly: !domain.startsWith('.'), sameSite: sameSite.toLowerCase(),
      ...(partitionKey && { partitionKey }),
    }))
  }

  async forget(name) {
    const domain = new URL(this.page.url()).hostname
    await this.context.clearCookies({ name, domain })
  }
}
