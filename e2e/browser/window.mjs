// What every browser here can do. A story is written against `Window` and does not know which browser runs it.
//
// A kind of browser (`chromium`, `firefox`, `webkit`) is an object:
//   name                    for the names of tests
//   sharesCookies           whether a page's requests to another site carry that site's cookies, in each window
//   partitionsCookies       whether it keeps a `Partitioned` cookie that another site sets, for this page's site
//   missing()               why it cannot run on this machine, or undefined
//   knowsExceptions         whether a person can trust a site with third-party cookies
//   launch({ isPrivate })   a browser; `isPrivate`: it blocks third-party cookies, as its private windows do
// A browser has `newWindow({ trusted })`, with cookies of its own, and `close()`. `trusted`: origins whose cookies a
// private window does not block, as people can set it up.

/** How long a condition may take to come true. Only failures wait this long; busy machines are slow. */
const PATIENCE_MS = 60_000

/** Waits until `probe` returns something true, and returns that. */
export async function until(what, probe, describe = async () => '') {
  const deadline = Date.now() + PATIENCE_MS
  let trouble
  for (;;) {
    try {
      const found = await probe()
      if (found) return found
      trouble = undefined
    } catch (error) {
      trouble = error // as while one page gives way to the next
    }
    if (Date.now() > deadline) {
      throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}\n${await describe()}`, { cause: trouble })
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A command of the driver that must be answered. */
export function answered(what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the browser did not answer: ${what}`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/**
 * One tab with cookies of its own. A kind of browser implements:
 *   open(url)               begins to load a page and does not wait for it
 *   url()                   of the page that is shown
 *   run(function, ...args)  runs a function in the page and returns what it returns, or its promise resolves to
 *   storedCookies()         those that go with the page that is shown, as the browser keeps them
 *   forget(name)            deletes the cookies of this name that go with the page that is shown
 *   close()
 */
export class Window {
  /** Goes to `url` and waits until the page `wanted` is there, which may be another one after redirects. */
  async goto(url, wanted = url) {
    await this.#leave()
    await this.open(url)
    await this.arrive(wanted)
  }

  /** Runs a function that leads to another page, such as the click on a link, and waits for it. */
  async follow(wanted, action, ...args) {
    await this.#leave()
    await this.run(action, ...args)
    await this.arrive(wanted)
  }

  /**
   * Waits until the page at `wanted` is loaded, and is not the one that was left. The page itself is asked for its
   * address: a driver may name the one that the browser is only on its way to.
   */
  arrive(wanted) {
    const isThere = (wanted) => document.URL === wanted && document.readyState === 'complete' && !('left' in document)
    return until(`arrives at ${wanted}`, () => this.run(isThere, wanted), () => this.describe())
  }

  /** Marks the page, so that nobody takes it for the next one at the same address. */
  async #leave() {
    await this.run(() => void (document.left = true)).catch(() => {}) // the first page of a tab may not be ready
  }

  title() {
    return this.run(() => document.title)
  }

  text(selector = 'body') {
    return this.run((selector) => document.querySelector(selector)?.textContent ?? '', selector)
  }

  /** `name`, `value`, `path`, `secure`, `httpOnly`, `hostOnly`, `sameSite` of the cookies that go with this page. */
  async cookies(name) {
    const cookies = await this.storedCookies()
    return name === undefined ? cookies : cookies.filter((cookie) => cookie.name === name)
  }

  /** The page and its cookies in words, for somebody who looks for the reason of a failure. */
  async describe() {
    const ask = async (what, question) => `  ${what}: ${await question().catch((error) => `(${error.message})`)}`
    const cookies = async () =>
      (await this.cookies()).map(({ value, ...rest }) => `\n    ${JSON.stringify({ ...rest, bytes: value.length })}`).join('')
    return [
      await ask('url', () => this.url()),
      await ask('title', () => this.title()),
      await ask('text', async () => (await this.text()).replace(/\s+/g, ' ').slice(0, 300)),
      await ask('cookies', cookies),
    ].join('\n')
  }
}
