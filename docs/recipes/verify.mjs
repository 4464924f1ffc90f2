import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { TEAM, AUD, PORT } = process.env
const issuer = `https://${TEAM}`
const keys = createRemoteJWKSet(new URL(`${issuer}/cdn-cgi/access/certs`))

async function caller(request) {
  const token = request.headers['cf-access-jwt-assertion'] ?? ''
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience: AUD,
    algorithms: ['RS256'],
    requiredClaims: ['exp'],
  })
  const kind = payload.cnf ? 'certificate' : 'service'
  return payload.email ?? `${kind}:${payload.common_name}`
}

createServer(async (request, response) => {
  try {
    const who = await caller(request)
    response.writeHead(200, { 'X-User': who }).end(`Hello, ${who}\n`)
  } catch (error) {
    response.writeHead(401).end(`Refused: ${error.message}\n`)
  }
}).listen(PORT, '127.0.0.1')
