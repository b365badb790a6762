// npm's oidc-provider on 127.0.0.1: node provider.mjs PORT TLS_PORT FOLDER. Persons log in, with any name and password,
// by its clients `device` and `person`.
// FOLDER is what keys.sh makes; server.crt is for the second port, signing.crt the certificate of its clients
// `signed` and `tls`. Tokens are JWTs, ES256, for Camunda's audiences. What an operator does is under /operator,
// which is open: `PUT clients/ID` with the new secret as the body, `POST keys` for a new key that signs for the client
// `short-lived`. Each makes the provider anew.
import { generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { Provider, errors } from 'oidc-provider'
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js'

const [port, tlsPort, folder] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const read = (name) => readFileSync(`${folder}/${name}`)
const certificate = new X509Certificate(read('signing.crt'))

const secrets = {
  orchestration: 'secret-of-orchestration',
  rotated: 'secret-of-rotated',
  'short-lived': 'secret-of-short-lived',
  'odd:client +%': 'p:a s+s%20&=%',
}
const lives = { rotated: 36, 'short-lived': 20, device: 10, person: 10 } // seconds; the others' live 300
const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code'

function clients() {
  const usual = { id_token_signed_response_alg: 'ES256', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const others = [
    {
      client_id: 'signed',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [certificate.publicKey.export({ format: 'jwk' })] },
    },
    { client_id: 'tls', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=signed' },
    {
      client_id: 'device',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: [deviceCode, 'refresh_token'],
    },
    {
      client_id: 'person',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback'], // any port
    },
  ]
  const posting = Object.entries(secrets).map(([client_id, client_secret]) => (
    { client_id, client_secret, token_endpoint_auth_method: 'client_secret_post' }))
  return [...posting, ...others].map((client) => ({ ...usual, ...client }))
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'ES256' }
}

// Of the connection: the client's certificate, where it showed one that we trust.
const shown = (ctx) => ctx.socket.authorized ? new X509Certificate(ctx.socket.getPeerCertificate().raw) : undefined

function provider() {
  const made = new Provider(issuer, {
    adapter,
    clients: clients(),
    jwks: { keys: [key, rotated] },
    clientAuthMethods: ['none', 'client_secret_post', 'client_secret_basic', 'private_key_jwt', 'tls_client_auth'],
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    features: {
      devInteractions: { enabled: true }, // pages for login and consent
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        getCertificate: shown,
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) => shown(ctx)?.subject === expected,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:camunda',
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource, client) => {
          if (resource !== 'urn:camunda') throw new errors.InvalidTarget()
          return {
            scope: '',
            audience: 'zeebe-api',
            accessTokenFormat: 'jwt',
            accessTokenTTL: lives[client.clientId] ?? 300,
            jwt: { sign: { alg: 'ES256', kid: client.clientId === 'short-lived' ? rotated.kid : key.kid } },
          }
        },
      },
    },
    cookies: { keys: ['not-a-secret'] },
  })
  made.on('server_error', (ctx, error) => console.error(error))
  return made.callback()
}

const adapter = createMemoryAdapter() // one for all providers, so that no login ends when the operator changes something
const key = signingKey()
let rotated = signingKey() // signs for `short-lived` alone, so that other tests keep their tokens
let current = provider()

async function body(request) {
  let text = ''
  for await (const piece of request) text += piece
  return text
}

async function answer(request, response) {
  const [, operator, what, id] = request.url.split('/')
  if (operator !== 'operator') return current(request, response)
  if (what === 'clients') secrets[id] = await body(request)
  else rotated = signingKey()
  current = provider()
  response.writeHead(204).end()
}

const tls = { key: read('server.key'), cert: read('server.crt'), ca: read('ca.crt'), requestCert: true, rejectUnauthorized: false }
https.createServer(tls, answer).listen(tlsPort, '127.0.0.1')
http.createServer(answer).listen(port, '127.0.0.1')
