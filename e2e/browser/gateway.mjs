// One gateway for one story: a data directory of its own, free ports, and the administration API.

import { spawn } from 'node:child_process'
import dns from 'node:dns'
import fs from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BINARY = process.env.NARTHEXD ?? path.join(ROOT, 'target/debug/narthexd')

// Browsers and curl know that *.localhost is this machine (RFC 6761); the C library's resolver does not.
const systemLookup = dns.lookup
dns.lookup = (name, options, done) => {
  if (typeof options === 'function') [done, options] = [options, {}]
  if (!/(^|\.)localhost$/.test(name)) return systemLookup(name, options, done)
  process.nextTick(() => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)))
}

/** A port that nobody listens on right now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

export class Gateway {
  /** Starts narthexd. `origins` maps hostnames to services; `smtp` is the port of a mail sink; `zones` besides localhost. */
  static async start({ origins, smtp, zones = [], extra = '' }) {
    const gateway = new Gateway()
    gateway.port = await freePort()
    gateway.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'narthex-story-'))
    gateway.token = `story-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`
    fs.writeFileSync(path.join(gateway.dir, 'token'), gateway.token)
    const ingress = Object.entries(origins).map(
      ([hostname, service]) => `[[ingress]]\nhostname = "${hostname}"\nservice = "${service}"\n`,
    )
    fs.writeFileSync(
      path.join(gateway.dir, 'narthex.toml'),
      `data_dir = "data"
[listen]
https = ["127.0.0.1:${gateway.port}"]
cores = 2
[team]
name = "Acme"
domain = "team.localhost:${gateway.port}"
[admin]
host = "admin.localhost:${gateway.port}"
token = { file = "${path.join(gateway.dir, 'token')}" }
${['localhost', ...zones].map((name) => `[[zone]]\nname = "${name}"`).join('\n')}
[outbound]
private_networks = ["127.0.0.0/8", "::1/128"]
${smtp ? `[mail]\nfrom = "Acme login <no-reply@acme.test>"\nsmtp = "smtp://127.0.0.1:${smtp}"` : ''}
${extra}
${ingress.join('\n')}`,
    )
    await gateway.run()
    const accounts = await gateway.api('GET', '/accounts')
    gateway.account = accounts[0].id
    return gateway
  }

  get team() {
    return `https://team.localhost:${this.port}`
  }

  url(host, rest = '/') {
    return `https://${host}:${this.port}${rest}`
  }

  get ca() {
    return fs.readFileSync(path.join(this.dir, 'data/local-ca.pem'))
  }

  async run() {
    this.log = ''
    this.process = spawn(BINARY, ['serve', '--config', path.join(this.dir, 'narthex.toml')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.process.stderr.on('data', (text) => (this.log += text))
    this.process.stdout.on('data', (text) => (this.log += text))
    this.ended = new Promise((resolve) => this.process.once('exit', resolve))
    await new Promise((resolve, reject) => {
      const attempt = () => {
        if (this.process.exitCode !== null) return reject(new Error(`narthexd ended:\n${this.log}`))
        const probe = net.connect(this.port, '127.0.0.1', () => resolve(probe.destroy()))
        probe.once('error', () => setTimeout(attempt, 25))
      }
      attempt()
    })
  }

  async stop() {
    this.process.kill('SIGTERM')
    const code = await this.ended
    fs.rmSync(this.dir, { recursive: true, force: true })
    return code
  }

  /** One HTTPS request, no redirects followed. */
  request(url, { method = 'GET', headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const request = https.request(url, { method, headers, ca: this.ca, agent: false }, (response) => {
        const parts = []
        response.on('data', (part) => parts.push(part))
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() }),
        )
      })
      request.once('error', reject)
      request.end(body)
    })
  }

  /** The result of an API call that must succeed. */
  async api(method, where, body) {
    const answer = await this.request(this.url('admin.localhost', `/client/v4${where}`), {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const envelope = JSON.parse(answer.body)
    if (!envelope.success) throw new Error(`${method} ${where}: ${answer.status} ${JSON.stringify(envelope.errors)}`)
    return envelope.result
  }

  access(method, where, body) {
    return this.api(method, `/accounts/${this.account}/access${where}`, body)
  }

  /** The access record with this Ray ID. Records are written in batches, soon after the answer. */
  async record(ray) {
    for (let tries = 0; tries < 500; tries++) {
      const records = await this.access('GET', '/logs/access_requests?limit=50')
      const record = records.find((record) => record.ray_id === ray)
      if (record) return record
    }
    throw new Error(`no record has the Ray ID ${ray}`)
  }

  protect(host, policies, settings = {}) {
    return this.access('POST', '/apps', {
      type: 'self_hosted',
      name: host.split('.')[0],
      domain: host,
      policies: policies.map((policy, index) => ({ precedence: index + 1, ...policy })),
      ...settings,
    })
  }
}
