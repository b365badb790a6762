// Sends the requests that stdin names, one line each, with the client that the argument names, and prints one line
// for each answer. test_http_clients.py describes both lines.
'use strict'
const http = require('node:http')
const readline = require('node:readline')
const { Readable } = require('node:stream')

const PIECE = 16384
const OFFER = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' }

function* pieces(body) {
  for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE)
}

const clients = {
  async fetch({ method, url, body, has, headers }) {
    const sent = has.has('chunks') ? { body: ReadableStream.from(pieces(body)), duplex: 'half' } : { body }
    const response = await fetch(url, { method, headers, ...(body ? sent : {}) })
    return [response.status, response.headers.get('content-type'), await response.text()]
  },

  async undici({ method, url, body, has, headers }) {
    const sent = body && has.has('chunks') ? Readable.from(pieces(body)) : body
    const response = await require('undici').request(url, { method, headers, body: sent })
    return [response.statusCode, response.headers['content-type'], await response.body.text()]
  },

  'node-http': ({ method, url, body, has, headers }) =>
    new Promise((resolve, reject) => {
      if (has.has('offer')) Object.assign(headers, OFFER)
      if (has.has('expect')) headers.expect = '100-continue'
      if (body && !has.has('chunks')) headers['content-length'] = body.length
      const request = http.request(url, { method, headers, agent })
      request.on('error', reject)
      request.on('response', async (response) => {
        response.setEncoding('utf8')
        try {
          const text = (await response.toArray()).join('')
          resolve([response.statusCode, response.headers['content-type'], text])
        } catch (error) {
          reject(error)
        }
      })
      if (!body) request.end()
      else if (has.has('expect')) request.on('continue', () => Readable.from(pieces(body)).pipe(request))
      else Readable.from(pieces(body)).pipe(request)
      if (has.has('expect')) request.flushHeaders()
    }),
}
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

async function main(send) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [method, url, size, ...words] = line.split(' ')
    const has = new Set(words)
    const body = Number(size) ? Buffer.from(Uint8Array.from({ length: size }, (_, i) => 97 + (i % 26))) : undefined
    const headers = has.has('origin') ? { origin: 'http://elsewhere.example' } : {}
    try {
      const [status, type, text] = await send({ method, url, body, has, headers })
      console.log([status, type, text.replace(/\s+/g, ' ')].join('\t'))
    } catch (error) {
      console.log(`0\t-\t${`${error} ${error.cause}`.replace(/\s+/g, ' ')}`)
    }
  }
}

main(clients[process.argv[2]])
