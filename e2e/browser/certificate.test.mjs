// A client certificate in a browser: with it, somebody reaches the application; without one, or with one that does not count,
// the page says what was wrong.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { launchHolder } from './chromium.mjs'
import { Gateway } from './gateway.mjs'
import { Origin } from './peers.mjs'

const HOST = 'wiki.localhost'
let origin, gateway, authority, dir

before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'narthex-certificates-'))
  origin = await Origin.start()
  gateway = await Gateway.start({ origins: { [HOST]: origin.service } })
  fs.mkdirSync(path.join(dir, 'issued'))
  fs.writeFileSync(path.join(dir, 'index.txt'), '')
  fs.writeFileSync(path.join(dir, 'crlnumber'), '01')
  fs.writeFileSync(path.join(dir, 'ca.cnf'), `[ca]
default_ca = here
[here]
dir = ${dir}
database = ${dir}/index.txt
crlnumber = ${dir}/crlnumber
new_certs_dir = ${dir}/issued
rand_serial = yes
default_md = sha256
default_crl_days = 7
unique_subject = no
policy = any
x509_extensions = client
crl_extensions = list
[any]
organizationName = optional
commonName = supplied
[client]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth
[list]
authorityKeyIdentifier = keyid
`)
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650', '-keyout', 'ca.key',
    '-out', 'ca.pem', '-subj', '/O=Acme/CN=Acme Staff CA', '-addext', 'basicConstraints=critical,CA:TRUE',
    '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
  authority = await gateway.access('POST', '/certificates', {
    name: 'Staff', certificate: fs.readFileSync(path.join(dir, 'ca.pem'), 'utf8'), associated_hostnames: [HOST],
  })
  await gateway.protect(HOST, [{ name: 'Staff', decision: 'non_identity', include: [{ certificate: {} }] }])
})

after(async () => {
  assert.equal(await gateway?.stop(), 0, 'narthexd drains and exits with 0')
  origin?.stop()
  fs.rmSync(dir, { recursive: true, force: true })
})

function openssl(...args) {
  return execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] })
}

/** A certificate for `name`, from `start` to `end` (as `openssl ca` writes times), in the form that browsers import. */
function issue(name, start, end) {
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`,
    '-subj', `/O=Acme/CN=${name}`)
  openssl('ca', '-batch', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-in', `${name}.csr`,
    '-out', `${name}.pem`, '-notext', '-startdate', start, '-enddate', end)
  openssl('pkcs12', '-export', '-in', `${name}.pem`, '-inkey', `${name}.key`, '-certfile', 'ca.pem', '-out', `${name}.p12`,
    '-passout', 'pass:secret')
  return { p12: path.join(dir, `${name}.p12`), password: 'secret' }
}

/** What somebody gets to see whose browser has this certificate, or none. */
async function visit(certificate) {
  const browser = await launchHolder(new URL(gateway.url(HOST)).origin, certificate)
  try {
    const page = await browser.newPage()
    const answer = await page.goto(gateway.url(HOST, '/reports'))
    return { status: answer.status(), text: await page.textContent('body') }
  } finally {
    await browser.close()
  }
}

test('with its certificate a browser reaches the application', async () => {
  const { status, text } = await visit(issue('ann', '20240101000000Z', '20450101000000Z'))
  assert.equal(status, 200)
  assert.match(text, /Hello from wiki\.localhost/)
  const claims = JSON.parse(Buffer.from(origin.last.headers['cf-access-jwt-assertion'].split('.')[1], 'base64url'))
  assert.equal(claims.common_name, 'ann')
})

async function refused(certificate, why) {
  const reached = origin.requests.length
  const { status, text } = await visit(certificate)
  assert.equal(status, 403)
  assert.match(text, why)
  assert.match(text, /Ray ID [0-9a-f]{16}/)
  assert.equal(origin.requests.length, reached, 'nothing reached the application')
}

test('without one the page says that one is asked for', () => refused(undefined, /asks for a client certificate, and none was presented/))

// Chromium keeps to itself what has expired; what the page says of one that is shown all the same, curl tries.
test('one whose time is over is not offered, and the page says that browsers do so', () =>
  refused(issue('late', '20200101000000Z', '20210101000000Z'), /does not offer one that has expired/))

test('one that is revoked after it has let its holder in is named as such', async () => {
  const certificate = issue('bob', '20240101000000Z', '20450101000000Z')
  assert.equal((await visit(certificate)).status, 200)
  openssl('ca', '-batch', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-revoke', 'bob.pem')
  const list = openssl('ca', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-gencrl').toString()
  await gateway.access('POST', `/certificates/${authority.id}/crls`, { crl: list })
  await refused(certificate, /client certificate that was presented has been revoked/)
})
