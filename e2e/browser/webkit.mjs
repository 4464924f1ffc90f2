// Debian's WebKitGTK in its MiniBrowser, driven over classic WebDriver (https://www.w3.org/TR/webdriver2/).

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { freePort } from './gateway.mjs'
import { answered, until, Window } from './window.mjs'

const DRIVER = '/usr/bin/WebKitWebDriver'
const LIBRARIES = '/usr/lib'

/** WebKitGTK's own small browser, below a folder named for machine and version. */
function miniBrowser() {
  for (const machine of existsSync(LIBRARIES) ? readdirSync(LIBRARIES) : []) {
    if (!machine.endsWith('-linux-gnu')) continue
    for (const version of ['webkit2gtk-4.1', 'webkitgtk-6.0', 'webkit2gtk-4.0']) {
      const program = path.join(LIBRARIES, machine, version, 'MiniBrowser')
      if (existsSync(program)) return program
    }
  }
  return undefined
}

export const webkit = {
  name: 'WebKit',
  sharesCookies: { normal: true, private: false },
  partitionsCookies: false,
  knowsExceptions: false,
  missing() {
    if (!existsSync(DRIVER) || !miniBrowser()) return 'WebKitGTK is not installed (Debian: webkit2gtk-driver)'
    if (!process.env.DISPLAY && spawnSync('which', ['Xvfb']).status !== 0) return 'WebKitGTK needs a display (Debian: xvfb)'
    return undefined
  },
  launch: ({ isPrivate = false } = {}) => WebKit.launch(isPrivate),
}

class WebKit {
  static async launch(isPrivate) {
    const browser = new WebKit()
    browser.isPrivate = isPrivate
    browser.dir = mkdtempSync(path.join(os.tmpdir(), 'narthex-webkit-'))
    try {
      browser.display = process.env.DISPLAY ?? (await browser.#startDisplay())
      await browser.#startDriver()
    } catch (error) {
      await browser.close()
      throw error
    }
    return browser
  }

  /** A display that nobody sees, under the first free number. */
  async #startDisplay() {
    this.xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    })
    const number = new Promise((resolve, reject) => {
      let said = ''
      this.xvfb.stdio[3].on('data', (text) => (said += text).endsWith('\n') && resolve(said.trim()))
      this.xvfb.once('error', reject)
      this.xvfb.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}`)))
    })
    return `:${await answered('Xvfb starts', number)}`
  }

  async #startDriver() {
    this.port = await freePort()
    const env = { ...process.env, DISPLAY: this.display, HOME: this.dir, XDG_RUNTIME_DIR: this.dir, GDK_BACKEND: 'x11',
      LIBGL_ALWAYS_SOFTWARE: '1', WEBKIT_DISABLE_COMPOSITING_MODE: '1' }
    this.driver = spawn(DRIVER, [`--port=${this.port}`, '--host=127.0.0.1'], { stdio: 'ignore', env })
    const failed = new Promise((_, reject) => this.driver.once('error', reject))
    const ready = until('WebKitWebDriver answers', async () => (await this.call('GET', '/status')).ready)
    await Promise.race([ready, failed])
  }

  /** A MiniBrowser of its own: it keeps its cookies in memory, and no two share any. */
  async newWindow() {
    const options = { binary: miniBrowser(), args: ['--automation', ...(this.isPrivate ? ['--private', '--enable-itp'] : [])] }
    const wanted = { acceptInsecureCerts: true, pageLoadStrategy: 'none', 'webkitgtk:browserOptions': options }
    const { sessionId } = await this.call('POST', '/session', { capabilities: { alwaysMatch: wanted } })
    return new WebKitWindow(this, `/session/${sessionId}`)
  }

  /** One command; the result, or the error that the driver names. */
  call(method, where, body) {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const answer = new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', ...(text && { 'content-length': Buffer.byteLength(text) }) }
      const to = { host: '127.0.0.1', port: this.port, method, path: where, headers, agent: false }
      const request = http.request(to, (response) => {
        const parts = []
        response.on('data', (part) => parts.push(part))
        response.on('end', () => {
          const { value } = JSON.parse(Buffer.concat(parts).toString())
          if (value?.error) reject(new Error(`${method} ${where}: ${value.error}: ${value.message}`))
          else resolve(value)
        })
      })
      request.once('error', reject)
      request.end(text)
    })
    return answered(`${method} ${where}`, answer)
  }

  async close() {
    for (const child of [this.driver, this.xvfb]) {
      if (!child || child.exitCode !== null || child.pid === undefined) continue
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

class WebKitWindow extends Window {
  constructor(browser, session) {
    super()
    this.browser = browser
    this.session = session
  }

  call(method, where, body) {
    return this.browser.call(method, this.session + where, body)
  }

  open(url) {
    return this.call('POST', '/url', { url })
  }

  url() {
    return this.call('GET', '/url')
  }

  async run(action, ...args) {
    const script = `const done = arguments[arguments.length - 1];
      (async () => (${action})(...${JSON.stringify(args)}))()
        .then((value) => done({ value }), (error) => done({ error: String(error) }))`
    const { value, error } = await this.call('POST', '/execute/async', { script, args: [] })
    if (error) throw new Error(error)
    return value ?? undefined
  }

  async storedCookies() {
    const cookies = await this.call('GET', '/cookie')
    return cookies.map(({ name, value, domain, path, secure, httpOnly, sameSite }) => ({
      name, value, path, secure, httpOnly, hostOnly: !domain.startsWith('.'), sameSite: (sameSite ?? 'unset').toLowerCase(),
    }))
  }

  forget(name) {
    return this.call('DELETE', `/cookie/${name}`)
  }

  close() {
    return this.call('DELETE', '')
  }
}
