// Debian's Chromium, driven by playwright-core.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { chromium as playwright } from 'playwright-core'
import { Window } from './window.mjs'

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
  launch: ({ isPrivate = false } = {}) => (isPrivate ? launchPrivate() : launchNormal()),
}

/** Contexts of the driver are what the person knows as incognito windows. */
async function launchPrivate() {
  const browser = await launch()
  return {
    newWindow: async () => {
      const context = await newWindow(browser)
      return new ChromiumWindow(await context.newPage(), () => context.close())
    },
    close: () => browser.close(),
  }
}

/** Only a profile on disk has normal windows. They share its cookies, so each begins by forgetting all. */
async function launchNormal() {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'narthex-chromium-'))
  mkdirSync(path.join(dir, 'Default'))
  writeFileSync(path.join(dir, 'Default/Preferences'), JSON.stringify({ profile: { cookie_controls_mode: 0 } }))
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

class ChromiumWindow extends Window {
  constructor(page, close) {
    super()
    this.page = page
    this.context = page.context()
    this.close = close
  }

  async open(url) {
    await this.page.goto(url, { waitUntil: 'commit' })
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
