// Every cookie setting of an application, seen in Chromium, Firefox and WebKit: a table of settings, then one story for
// each promise that is no attribute.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ROWS, untried } from './cookie-rows.mjs'
import { chromium } from './chromium.mjs'
import { firefox } from './firefox.mjs'
import { Stage, XHR, fetchIn, followLinkFromElsewhere, story } from './stage.mjs'
import { webkit } from './webkit.mjs'
import { until } from './window.mjs'

const NOWHERE = '/cdn-cgi/access/nowhere' // a page of the gateway on any host, which asks for no login
const KINDS = [chromium, firefox, webkit]
// Hosts of an application of which one leads nowhere (RFC 2606). Each kind has its own: the gateway remembers where people
// got lost.
const dead = (kind, host) => `${host}-${kind.name.toLowerCase()}.dead.localhost`
const gone = (kind) => `${kind.name.toLowerCase()}.invalid`

let stage

before(async () => {
  const sites = ['binding', 'pair', 'lone', 'unset', 'eager', 'dead', 'spa', 'other', 'else', 'bypass', 'near', 'far', 'form']
  const hosts = [...ROWS.flatMap((row) => row.sites), ...sites.map((site) => `*.${site}.localhost`), '*.invalid']
  stage = await Stage.open(hosts)
  for (const [destinations, settings] of applications()) await stage.protect(destinations, settings)
})

after(() => stage?.close())

/** Destinations and settings of every application. */
function applications() {
  const at = (...hosts) => hosts.map((host) => host.replace(/^[^/]+/, '$&.localhost'))
  const callers = (row) => [new URL(stage.elsewherePage).origin, stage.pagesOf(row.start)]
  return [
    ...ROWS.map((row) => [row.destinations, { ...row.settings, cors_headers: cors(callers(row)) }]),
    ...KINDS.map((kind) => [[dead(kind, 'a'), gone(kind), dead(kind, 'c')], {}]),
    [at('a.binding'), { enable_binding_cookie: true }],
    [at('a.pair'), { path_cookie_attribute: true }],
    [at('a.pair/inner'), { path_cookie_attribute: true }],
    [at('a.lone'), { path_cookie_attribute: false }],
    [at('a.lone/inner'), { path_cookie_attribute: false }],
    [at('a.unset'), {}],
    [at('a.eager', 'b.eager'), { eager_redirect_cookie_setting: false }],
    [at('a.spa', 'b.spa', 'b.other', 'c.else'), { cors_headers: cors([stage.pagesOf('a.spa.localhost')]) }],
    [at('a.bypass', 'b.bypass'), { options_preflight_bypass: true }],
    [at('a.form'), { replay_post_after_login: true }],
    [at('b.form'), {}],
    [at('a.near', 'b.far'), {
      cors_headers: cors([stage.pagesOf('a.near.localhost')]),
      partitioned_cookie_handoff: true,
      enable_binding_cookie: true,
    }],
  ]
}

function cors(allowed_origins) {
  return { allowed_origins, allow_credentials: true, allowed_headers: Object.keys(XHR), allowed_methods: ['GET'], max_age: -1 }
}

test('the rows try every pair of settings', () => assert.deepEqual(untried(), []))

for (const kind of KINDS) {
  describe(kind.name, { skip: kind.missing() }, () => {
    const browsers = {}
    before(async () => {
      browsers.normal = await kind.launch()
      browsers.private = await kind.launch({ isPrivate: true })
    })
    after(() => Promise.all(Object.values(browsers).map((browser) => browser.close())))
    const at = (which) => ({ stage: () => stage, browser: () => browsers[which] })

    for (const row of ROWS) {
      story(row.name, at(row.window), (window) => show(window, row, kind.sharesCookies[row.window]))
    }
    for (const [name, body] of Object.entries(stories(kind))) story(name, at('normal'), body)
    for (const [name, body] of Object.entries(privateStories(kind))) story(name, at('private'), body)
    const exception = 'third-party cookies, private window: they work for an application and a team domain that the person trusts'
    const options = () => ({ trusted: [stage.gateway.team, ...TRUSTED.map((host) => stage.pagesOf(host))] })
    if (kind.knowsExceptions) story(exception, { ...at('private'), options }, useException)
    else test(exception, { skip: `people cannot trust single sites in ${kind.name}` })
  })
}

/** A row: logs in and looks at everything that its settings say. */
async function show(window, row, sharesCookies) {
  const wanted = stage.url(row.start, '/path1/reports?q=1')
  const page = `${row.start} /path1/reports`
  const moved = row.sameSite === 'strict' ? 200 : 302 // Strict: a page that moves on, since a redirect would bring no cookie
  const round = (step) => row.walked.map((host) => `${host} ${step} 302`)
  const walk = row.walked.length === 0 ? [] : [...round('walk'), 'team walk 302', ...round('authorized')]
  const wayBack = [...walk, `${row.start} authorized ${moved}`, `${page} 200`]

  await window.goto(wanted)
  const login = [`${page} 302`, 'team login 302', 'team callback 302', ...wayBack]
  assert.deepEqual(await stage.steps(), login, 'twice round the others, the first host last')

  const path = row.path ? '/path1' : '/'
  const cookies = await look(window, row, path)
  const script = await window.run(() => document.cookie)
  assert.equal(script.includes('CF_Authorization='), !row.httpOnly, 'document.cookie shows the token unless HttpOnly is on')
  assert.ok(!script.includes('CF_Binding'), 'and never the binding cookie')
  assert.deepEqual(originSaw(), ['CF_Authorization'], 'the origin never sees CF_Binding')
  const [token] = cookies.filter(({ name }) => name === 'CF_Authorization')
  assert.equal(await stage.opens(wanted, [token]), !row.binding, 'the token alone, without its binding cookie')
  assert.equal(await stage.opens(wanted, cookies), true, 'all cookies together')
  await stage.steps()

  await window.goto(stage.url(row.start, '/path2/x'))
  assert.equal(await stage.rounds(), row.path ? 1 : 0, 'the cookie of /path1 does not open /path2 when it is limited to it')
  await look(window, row, row.path ? '/path2' : '/')
  await window.goto(wanted)
  assert.equal(await stage.rounds(), 0, 'and that of /path2 took nothing away')

  await followLinkFromElsewhere(stage, window, wanted)
  const silently = row.sameSite === 'strict' ? [`${page} 302`, 'team login 302', ...wayBack] : [`${page} 200`]
  assert.deepEqual(await stage.steps(), silently, 'a link from another site arrives; Strict takes one silent round')

  await window.goto(stage.elsewherePage)
  const foreign = await fetchIn(window, stage.url(row.start, '/path1/data'), XHR)
  const sent = row.sameSite === 'none' && sharesCookies
  assert.equal(foreign.status, sent ? 200 : 401, `a fetch by a page of another site: ${foreign.body}`)

  await window.goto(wanted)
  for (const [host, there] of [[row.sibling, true], [row.stranger, sent]]) {
    if (!host) continue
    const { status, body } = await fetchIn(window, stage.url(host, '/data'), XHR)
    assert.equal(status, there && row.walked.length > 0 ? 200 : 401, `a fetch from ${host} before anybody went there: ${body}`)
    if (status === 200) assert.deepEqual(JSON.parse(body), { from: new URL(stage.url(host)).host, who: 'ann@example.com' })
  }

  await stage.steps()
  for (const [host, path] of row.pages) {
    await window.goto(stage.url(host, path))
    assert.equal(await stage.rounds(), 0, `${host} got its cookie before anybody went there`)
    await look(window, row, row.path && path !== '/' ? '/docs' : '/')
  }
  for (const [host, path] of row.onVisit) {
    await window.goto(stage.url(host, NOWHERE))
    assert.deepEqual(await window.cookies('CF_Authorization'), [], `${host} has no cookie yet`)
    await window.goto(stage.url(host, path))
    assert.equal(await stage.rounds(), 1, `${host} gets its cookie when it is visited`)
    await look(window, row, '/')
  }
}

/** The gateway's cookies that go with the page, which must look as the row says. */
async function look(window, row, path) {
  const cookies = (await window.cookies()).filter(({ name }) => /^(CF_(Authorization|Binding)$|__Host-CF_Binding-)/.test(name))
  const own = (cookies.find(({ name }) => name === 'CF_Binding') ?? {}).value
  const others = cookies.filter(({ name, value }) => name.startsWith(COMPANION) && value !== own) // of other paths
  const ours = { path, secure: true, hostOnly: true }
  const expected = [{ name: 'CF_Authorization', ...ours, httpOnly: row.httpOnly, sameSite: row.sameSite }]
  if (row.binding) {
    expected.push({ name: 'CF_Binding', ...ours, httpOnly: true, sameSite: 'none' })
    expected.push({ name: COMPANION, ...ours, path: '/', httpOnly: true, sameSite: 'none' })
  }
  const named = cookies.map((cookie) => (cookie.name.startsWith(COMPANION) ? { ...cookie, name: COMPANION } : cookie))
  const shown = named.filter((_, at) => !others.includes(cookies[at])).map(({ value, ...rest }) => rest)
  const byName = (a, b) => a.name.localeCompare(b.name)
  assert.deepEqual(shown.map(inOrder).sort(byName), expected.map(inOrder).sort(byName), 'cookies as the browser keeps them')
  return cookies
}

/** How the name of the companion of `CF_Binding` begins, which no other host can set. */
const COMPANION = '__Host-CF_Binding-'

const inOrder = ({ name, path, secure, hostOnly, httpOnly, sameSite }) => ({ name, path, secure, hostOnly, httpOnly, sameSite })

/** Names of the cookies in the last request that the origin got. */
function originSaw() {
  const cookies = (stage.origin.last.headers.cookie ?? '').split('; ')
  return cookies.map((cookie) => cookie.split('=')[0]).sort()
}

/** One story for each promise; the same for all browsers. */
function stories(kind) {
  return {
    async 'enable_binding_cookie=on: a token without its binding cookie counts as none, and the browser gets a new pair'(window) {
      const wanted = stage.url('a.binding.localhost', '/x')
      await window.goto(wanted)
      const [first] = await window.cookies('CF_Binding')
      await window.forget('CF_Binding')
      assert.deepEqual((await window.cookies('CF_Authorization')).length, 1)
      await stage.steps()
      await window.goto(wanted)
      assert.equal(await stage.rounds(), 1)
      const [second] = await window.cookies('CF_Binding')
      assert.notEqual(second.value, first.value)
      await window.goto(wanted)
      assert.equal(await stage.rounds(), 0)
      assert.deepEqual(originSaw(), ['CF_Authorization'])
    },

    async 'path_cookie_attribute=on: applications on one host keep their cookies apart, and each of several is tried'(window) {
      const [outer, inner] = ['/x', '/inner/x'].map((path) => stage.url('a.pair.localhost', path))
      await window.goto(outer)
      await window.goto(inner)
      assert.equal(await stage.rounds(), 2)
      assert.deepEqual((await window.cookies('CF_Authorization')).map(({ path }) => path).sort(), ['/', '/inner'])
      for (const page of [outer, inner, outer, inner]) await window.goto(page)
      assert.equal(await stage.rounds(), 0)
      const [own] = (await window.cookies('CF_Authorization')).filter(({ path }) => path === '/inner')
      assert.deepEqual(originSaw(), ['CF_Authorization'], 'and the origin sees its own')
      assert.equal(stage.origin.last.headers['cf-access-jwt-assertion'], own.value)
    },

    async 'path_cookie_attribute=off: applications on one host take turns with one cookie, without a prompt or a loop'(window) {
      const [outer, inner] = ['/x', '/inner/x'].map((path) => stage.url('a.lone.localhost', path))
      for (const page of [outer, inner, outer, inner]) {
        await window.goto(page)
        assert.equal(await stage.rounds(), 1)
        assert.deepEqual((await window.cookies('CF_Authorization')).map(({ path }) => path), ['/'])
      }
    },

    async 'cookie settings unset: SameSite=None, HttpOnly, no binding cookie, the whole host'(window) {
      await window.goto(stage.url('a.unset.localhost', '/some/page'))
      await look(window, { sameSite: 'none', httpOnly: true, binding: false }, '/')
    },

    async 'eager_redirect_cookie_setting=off: the other host gets its cookie when it is visited'(window) {
      await window.goto(stage.url('a.eager.localhost'))
      assert.ok(!(await stage.steps()).some((step) => step.startsWith('b.eager.localhost ')))
      await window.goto(stage.url('b.eager.localhost', NOWHERE))
      assert.deepEqual(await window.cookies('CF_Authorization'), [])
      await window.goto(stage.url('b.eager.localhost'))
      assert.equal(await stage.rounds(), 1)
    },

    async 'several domains, one of them down: whoever was stranded there arrives at the next try'(window) {
      const wanted = stage.url(dead(kind, 'a'), '/x')
      await window.open(wanted).catch(() => {}) // the browser may say at once that it finds nobody
      const steps = []
      await until('the login walks on', async () => {
        steps.push(...(await stage.steps()))
        return steps.includes('team callback 302')
      })
      await until('the browser is stranded', async () => !(await window.url()).startsWith(stage.gateway.team))
      await window.goto(wanted)
      const [a, c] = ['a', 'c'].map((host) => dead(kind, host))
      const walk = [`${c} walk 302`, 'team walk 302', `${c} authorized 302`]
      const again = [`${a} /x 302`, 'team login 302', ...walk, `${a} authorized 302`, `${a} /x 200`]
      assert.deepEqual((await stage.steps()).slice(-again.length), again)
    },

    async 'replay_post_after_login=on: a form that is posted after the session ended reaches the origin once, as it was'(window) {
      const target = stage.url('a.form.localhost', '/save?draft=1')
      const [text, bytes] = ['first line\r\nzweite Zeile: ä & = %41', [0, 255, 13, 10, 45, 45, 128]]
      await window.goto(stage.url('a.form.localhost', '/edit'))
      await window.forget('CF_Authorization')
      await stage.steps()
      const seen = stage.origin.requests.length
      await window.follow(target, post, target, text, bytes)
      assert.equal(await stage.rounds(), 1)
      const [form, ...more] = stage.origin.requests.slice(seen)
      assert.deepEqual([form.method, form.url, more], ['POST', '/save?draft=1', []])
      assert.equal(form.headers['cf-access-authenticated-user-email'], 'ann@example.com')
      assert.deepEqual(originSaw(), ['CF_Authorization'])
      const sent = await new Response(form.body, { headers: { 'content-type': form.headers['content-type'] } }).formData()
      assert.equal(sent.get('text'), text)
      assert.deepEqual([...new Uint8Array(await sent.get('scan').arrayBuffer())], bytes)
    },

    async 'replay_post_after_login=off: the page comes after the login, and the form is lost'(window) {
      const target = stage.url('b.form.localhost', '/save?draft=1')
      await window.goto(stage.url('b.form.localhost', '/edit'))
      await window.forget('CF_Authorization')
      const seen = stage.origin.requests.length
      await window.follow(target, post, target, 'text', [1])
      assert.deepEqual(stage.origin.requests.slice(seen).map(({ method }) => method), ['GET'])
    },

    async 'a single-page application whose session is over learns from a 401 where to log in, and goes on'(window) {
      const page = stage.url('a.spa.localhost', '/board?tab=2')
      const own = stage.url('a.spa.localhost', '/data')
      const other = stage.url('b.spa.localhost', '/data')
      await window.goto(page)
      for (const url of [own, other]) assert.equal((await fetchIn(window, url, XHR)).status, 200, url)
      await window.forget('CF_Authorization')
      assert.equal((await fetchIn(window, own)).status, 'blocked', 'no script can follow a redirect to the team domain')
      const { status, body } = await fetchIn(window, own, XHR)
      assert.equal(status, 401)
      const { login_url } = JSON.parse(body)
      assert.ok(login_url.startsWith(`${stage.gateway.team}/cdn-cgi/access/login/a.spa.localhost`), body)
      await window.follow(page, (url) => {
        location.href = `${url}&redirect_url=${encodeURIComponent(location.pathname + location.search)}`
      }, login_url)
      assert.equal((await fetchIn(window, own, XHR)).status, 200)
    },

    async 'cors_headers with allow_credentials: the gateway answers the preflight, and the other host its data'(window) {
      await window.goto(stage.url('a.spa.localhost'))
      const seen = stage.origin.requests.length
      const { status, body } = await fetchIn(window, stage.url('b.spa.localhost', '/data'), XHR)
      assert.equal(status, 200)
      assert.deepEqual(JSON.parse(body), { from: new URL(stage.url('b.spa.localhost')).host, who: 'ann@example.com' })
      assert.deepEqual(stage.origin.requests.slice(seen).map(({ method }) => method), ['GET'])
      const forbidden = await fetchIn(window, stage.url('b.spa.localhost', '/data'), { ...XHR, 'x-other': '1' })
      assert.equal(forbidden.status, 'blocked', 'a header that is not on the list')
      await window.goto(stage.elsewherePage)
      const foreign = await fetchIn(window, stage.url('b.spa.localhost', '/data'), XHR)
      assert.equal(foreign.status, 'blocked', 'a page that is not on the list')
    },

    async 'options_preflight_bypass=on: the origin answers the preflight, which carries no cookie'(window) {
      await window.goto(stage.url('a.bypass.localhost'))
      const seen = stage.origin.requests.length
      const { status } = await fetchIn(window, stage.url('b.bypass.localhost', '/data'), { 'x-other': '1' })
      assert.equal(status, 200)
      const [preflight, request] = stage.origin.requests.slice(seen)
      assert.deepEqual([preflight.method, preflight.headers.cookie], ['OPTIONS', undefined])
      assert.equal(preflight.headers['cf-access-jwt-assertion'], undefined)
      assert.equal(request.headers['cf-access-authenticated-user-email'], 'ann@example.com')
    },
  }
}

/** Posts a form with a text and a file, as the page at hand would. */
function post(url, text, bytes) {
  const file = new DataTransfer()
  file.items.add(new File([new Uint8Array(bytes)], 'scan.bin', { type: 'application/octet-stream' }))
  const form = Object.assign(document.createElement('form'), { method: 'post', enctype: 'multipart/form-data', action: url })
  form.append(
    Object.assign(document.createElement('textarea'), { name: 'text', value: text }),
    Object.assign(document.createElement('input'), { name: 'scan', type: 'file', files: file.files }),
  )
  document.body.append(form)
  form.submit()
}

/** The same in windows that keep cookies from other sites. */
function privateStories(kind) {
  return {
    async 'partitioned_cookie_handoff=on, private window: a page gets a cookie for another site of its application'(window) {
      const data = stage.url('b.far.localhost', '/data')
      await window.goto(stage.url('a.near.localhost'))
      assert.deepEqual((await stage.steps()).filter((step) => step.startsWith('b.')), [
        'b.far.localhost walk 302', 'b.far.localhost authorized 302',
      ])
      assert.equal((await fetchIn(window, data, XHR)).status, 401, 'its own cookie is there, and blocked')
      const handOff = (host) => import('/cdn-cgi/access/handoff.js').then((script) => script.handOff(host)).catch(String)
      const seconds = await window.run(handOff, 'b.far.localhost')
      const { status, body } = await fetchIn(window, data, XHR)
      assert.equal(status, kind.partitionsCookies ? 200 : 401, `${seconds} ${body}`)
      if (status === 200) assert.equal(JSON.parse(body).who, 'ann@example.com')
      await window.goto(stage.elsewherePage)
      assert.notEqual((await fetchIn(window, data, XHR)).status, 200, 'pages of other sites have nothing of it')
    },
  }
}

const TRUSTED = ['a.spa.localhost', 'b.other.localhost']

/** What people do in the settings of Chrome and Firefox (seed 004, third-party cookies in browsers). */
async function useException(window) {
  await window.goto(stage.url('a.spa.localhost'))
  for (const [host, want] of [['b.other.localhost', 200], ['c.else.localhost', 401]]) {
    const { status, body } = await fetchIn(window, stage.url(host, '/data'), XHR)
    assert.equal(status, want, `${host}: ${body}`)
  }
}
