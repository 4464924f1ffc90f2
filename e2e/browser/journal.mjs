// What the gateway answered, in its own words: the lines of its log, which are the same whatever browser asked.

import { until } from './window.mjs'

/** Reads the log of a gateway that runs with `[log] requests = "all"`. */
export class Journal {
  constructor(gateway) {
    this.gateway = gateway
    this.read = 0
    this.marks = 0
  }

  /** The requests answered since this was last called, in order: `host`, `path`, `status`. */
  async since() {
    // Lines are written in order, so everything before the mark's own line is there once that is.
    const mark = `/cdn-cgi/mark-${++this.marks}`
    await this.gateway.request(this.gateway.team + mark)
    const found = () => this.gateway.log.indexOf(`"http.path":"${mark}"`, this.read)
    const end = await until(`the log tells of ${mark}`, () => found() + 1)
    const text = this.gateway.log.slice(this.read, end)
    this.read = this.gateway.log.indexOf('\n', end) + 1
    const entries = []
    for (const line of text.split('\n')) {
      if (!line.includes('"http.host"') || !line.endsWith('}')) continue
      const entry = JSON.parse(line)
      if (entry['http.path'] === '/favicon.ico') continue
      entries.push({ host: entry['http.host'], path: entry['http.path'], status: entry['http.status'] })
    }
    return entries
  }
}
