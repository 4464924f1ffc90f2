// The settings of an application that decide about its cookies, in rows that together try every pair of values, and
// what a browser must show for each.

const on = true
const off = false

/**
 * SameSite; whether `CF_Authorization` says HttpOnly, has a binding cookie beside it, is limited to the application's
 * path; how many domains; which window.
 */
export const ROWS = [
  ['none', on, off, on, 'one', 'normal'],
  ['none', on, on, off, 'five', 'normal'],
  ['none', off, on, off, 'wildcard', 'normal'],
  ['lax', off, off, on, 'five', 'normal'],
  ['lax', off, off, on, 'six', 'normal'],
  ['strict', off, off, off, 'one', 'normal'],
  ['none', off, on, off, 'six', 'private'],
  ['lax', off, on, on, 'one', 'private'],
  ['lax', on, on, off, 'wildcard', 'private'],
  ['strict', off, on, off, 'five', 'private'],
  ['strict', on, on, off, 'six', 'private'],
  ['strict', on, off, on, 'wildcard', 'private'],
].map(([sameSite, httpOnly, binding, path, domains, window], index) => {
  return row({ sameSite, httpOnly, binding, path, domains, window }, index + 1)
})

function row(settings, number) {
  const [near, far, wild] = [`r${number}.localhost`, `s${number}.localhost`, `w${number}.localhost`]
  const start = `a.${near}`
  const four = [`b.${near}`, `c.${near}`, `d.${far}`, `e.${far}`]
  const hosts = {
    one: { others: [], walked: [], pages: [], onVisit: [] },
    five: { others: four, walked: four, pages: four.map((host) => [host, '/']), onVisit: [] },
    six: { others: [...four, `f.${far}`], walked: [], pages: [], onVisit: [[`b.${near}`, '/'], [`f.${far}`, '/']] },
    wildcard: {
      others: [`*.${wild}`, `c.${far}/docs/*`],
      walked: [`c.${far}`],
      pages: [[`c.${far}`, '/docs/x']],
      onVisit: [[`x.${wild}`, '/']],
    },
  }[settings.domains]
  const sayings = { httpOnly: 'http_only_cookie_attribute', binding: 'enable_binding_cookie', path: 'path_cookie_attribute' }
  const switches = Object.entries(sayings).map(([key, name]) => `${name}=${settings[key] ? 'on' : 'off'}`)
  return {
    ...settings,
    name: [`same_site_cookie_attribute=${settings.sameSite}`, ...switches].join(' ') +
      `, domains: ${settings.domains}, ${settings.window} window`,
    start,
    /** For the gateway's ingress. */
    sites: [`*.${near}`, `*.${far}`, `*.${wild}`],
    destinations: [`${start}/path1`, `${start}/path2`, ...hosts.others],
    /** Hosts that the login walks the browser through before it comes back to the first; in this order. */
    walked: hosts.walked,
    /** A page on each of them. */
    pages: hosts.pages,
    /** Pages on hosts that get their cookies when somebody visits them. */
    onVisit: hosts.onVisit,
    /** Another host of the same site, and one of another site. */
    sibling: hosts.others.find((host) => host === `b.${near}`),
    stranger: hosts.others.find((host) => host === `d.${far}`),
    settings: {
      same_site_cookie_attribute: settings.sameSite,
      http_only_cookie_attribute: settings.httpOnly,
      enable_binding_cookie: settings.binding,
      path_cookie_attribute: settings.path,
    },
  }
}

/** Pairs of values that no row tries; there must be none. */
export function untried() {
  const values = {
    sameSite: ['none', 'lax', 'strict'],
    httpOnly: [on, off],
    binding: [on, off],
    path: [on, off],
    domains: ['one', 'five', 'six', 'wildcard'],
    window: ['normal', 'private'],
  }
  const names = Object.keys(values)
  const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other]))
  const missing = []
  for (const [one, other] of pairs) {
    for (const value of values[one]) {
      for (const next of values[other]) {
        if (!ROWS.some((row) => row[one] === value && row[other] === next)) missing.push(`${one}=${value} with ${other}=${next}`)
      }
    }
  }
  return missing
}
