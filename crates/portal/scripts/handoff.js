// Makes fetch("https://<host>/…", { credentials: "include" }) work from this page in browsers that block third-party
// cookies. Call it once before the first such fetch, and again when one fails because the cookie has expired.
//
//   import { handOff } from "/cdn-cgi/access/handoff.js";
//   await handOff("api.example.com");
//
// Resolves to the seconds for which the cookie is good. Rejects with an Error that says what is missing.
export async function handOff(host) {
  const asked = await fetch("/cdn-cgi/access/handoff", {
    method: "POST",
    credentials: "same-origin",
    body: new URLSearchParams({ to: host }),
  });
  const { code, url } = await answer(asked);
  const redeemed = await fetch(url, {
    method: "POST",
    credentials: "include",
    body: new URLSearchParams({ code }),
  });
  return (await answer(redeemed)).expires_in;
}

async function answer(response) {
  const json = (response.headers.get("content-type") || "").startsWith("application/json");
  const body = json ? await response.json() : {};
  if (!response.ok) throw new Error(body.err || `HTTP ${response.status} from ${response.url}`);
  return body;
}
