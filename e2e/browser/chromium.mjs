// Debian's Chromium, driven by playwright-core.

import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const WHERE = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? WHERE.find(existsSync),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  })
}

/** A private window: own cookies. The local CA is not in the browser's store, so its warning is switched off. */
export function newWindow(browser, options = {}) {
  return browser.newContext({ ignoreHTTPSErrors: true, ...options })
}
