// The peer on Fastify: `node server.js`, settings in the environment.

import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { LRUCache } from 'lru-cache'
import pg from 'pg'
import { Agent } from 'undici'

const sql = (file) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
const SESSION = sql('session.sql').replaceAll(':token', '$1').replaceAll(':now', '$2')
const INVENTORY = sql('inventory.sql')
  .replaceAll(':user_id', '$1').replaceAll(':since', '$2').replaceAll(':until', '$3')
const { DATABASE_URL, GATEWAY_URL, GATEWAY_TOKEN, PORT } = process.env
const SESSIONS_LIST = JSON.stringify({ tool: 'sessions_list', args: { limit: 50, messageLimit: 0 } })

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const RANGES = new Map([['30', 30], ['90', 90], ['180', 180], ['365', 365]])
const CHANNELS = ['Webchat', 'Telegram', 'Discord', 'WhatsApp', 'iMessage']
const BY_WORD = new Map(CHANNELS.map((name) => [name.toLowerCase(), name]))
const ELSEWHERE = new Set(['cron', 'subagent', 'slack'])
const DIRECT = new Set(['openai', 'openai-user', 'direct', 'dm'])

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 })
const http = new Agent({ connections: 200, headersTimeout: 1500, bodyTimeout: 1500 })

const text = { type: 'string' }
const integer = { type: 'integer' }
const record = (properties) => ({ type: 'object', properties })
const list = (properties) => ({ type: 'array', items: record(properties) })
const ANALYTICS = record({
  overview: record({
    deployedAgents: integer, liveAgents: integer, installedSkills: integer, scheduledTasks: integer,
    connectedChannels: integer, channelMessages: integer
  }),
  trend: list({ label: text, deployments: integer, skills: integer, tasks: integer }),
  topSkills: list({ name: text, installs: integer }),
  channels: list({ name: text, messages: integer, lastActive: { type: 'string', nullable: true }, status: text }),
  source: record({ gateway: text, sessions: text })
})

const app = Fastify()

// fetchMethod lets all who miss the same key wait for one call.
const callers = new LRUCache({
  max: 20_000,
  ttl: 10_000,
  fetchMethod: async (token) => {
    const [row] = await ask('session', SESSION, [token, sqlMoment(Date.now())])
    if (row === undefined) return undefined
    const { user_id: userId, gateway_url: url, gateway_token: own } = row
    return { userId, url: new URL(url ?? GATEWAY_URL), authorization: `Bearer ${own ?? GATEWAY_TOKEN}` }
  }
})
const answers = new LRUCache({
  max: 10_000,
  ttl: 30_000,
  fetchMethod: (_key, _old, { context: { caller, days, reply } }) =>
    analytics(caller, days).then((answer) => reply.serialize(answer))
})

app.get('/api/dashboard/analytics', { schema: { response: { 200: ANALYTICS } } }, async (request, reply) => {
  const token = cookie(request.headers.cookie, 'agentbot-session')
  const caller = token && (callers.get(token) ?? await callers.fetch(token))
  if (!caller) return reply.code(401).send({ error: 'Unauthorized' })
  const days = RANGES.get(request.query.range) ?? 180
  const key = `${days}:${caller.userId}`
  const anew = request.headers['cache-control'] === 'no-cache'
  if (anew) return analytics(caller, days)
  const body = answers.get(key) ?? await answers.fetch(key, { context: { caller, days, reply } })
  return reply.type('application/json').send(body)
})

async function analytics (caller, days) {
  const now = Date.now()
  const since = now - days * 86_400_000
  const [rows, alive, sessions] = await Promise.all([
    ask('inventory', INVENTORY, [caller.userId, sqlMoment(since), sqlMoment(now)]),
    gatewayAlive(caller),
    listSessions(caller)
  ])
  const counted = channels(sessions ?? [], alive)
  const agents = rows.filter((row) => row.kind === 'agents')
  const skills = rows.filter((row) => row.kind === 'skills')
  const tasks = rows.filter((row) => row.kind === 'tasks')
  return {
    overview: {
      deployedAgents: sum(agents, (row) => row.number),
      liveAgents: sum(agents, (row) => row.marked),
      installedSkills: sum(skills, (row) => row.marked),
      scheduledTasks: sum(tasks, (row) => row.number),
      connectedChannels: counted.filter((channel) => channel.status === 'connected').length,
      channelMessages: sum(counted, (channel) => channel.messages)
    },
    trend: trend([agents, skills, tasks], since, now),
    topSkills: rows.filter((row) => row.kind === 'top').map(({ name, number }) => ({ name, installs: number })),
    channels: counted,
    source: { gateway: alive ? 'live' : 'unreachable', sessions: sessions === null ? 'unavailable' : 'live' }
  }
}

async function ask (name, statement, values) {
  return (await pool.query({ name, text: statement, values })).rows
}

async function gatewayAlive (caller) {
  try {
    const answer = await call(caller, 'GET', '/healthz')
    return answer.ok === true
  } catch {
    return false
  }
}

async function listSessions (caller) {
  try {
    const headers = { authorization: caller.authorization, 'content-type': 'application/json' }
    const answer = await call(caller, 'POST', '/tools/invoke', headers, SESSIONS_LIST)
    return answer.result.details.sessions
  } catch {
    return null
  }
}

async function call ({ url }, method, path, headers, body) {
  const base = url.pathname === '/' ? '' : url.pathname
  const response = await http.request({ origin: url.origin, path: base + path, method, headers, body })
  if (response.statusCode !== 200) {
    await response.body.dump()
    throw new Error(`status ${response.statusCode}`)
  }
  return response.body.json()
}

function trend (kinds, since, now) {
  const [agents, skills, tasks] = kinds.map((rows) => new Map(rows.map((row) => [row.month, row.number])))
  const buckets = []
  for (let month = monthOf(since); month <= monthOf(now); month++) {
    buckets.push({
      label: MONTHS[month % 12],
      deployments: agents.get(month) ?? 0,
      skills: skills.get(month) ?? 0,
      tasks: tasks.get(month) ?? 0
    })
  }
  return buckets
}

function channels (sessions, alive) {
  const belonging = new Map(CHANNELS.map((name) => [name, []]))
  for (const session of sessions) belonging.get(channelOf(session))?.push(session)
  return CHANNELS.map((name) => channel(name, belonging.get(name), alive))
}

function channel (name, sessions, alive) {
  const used = sessions.length > 0 ? 'connected' : 'not-configured'
  const newest = sessions.reduce((latest, { updatedAt }) => Math.max(latest, updatedAt ?? 0), 0)
  return {
    name,
    messages: sum(sessions, messagesIn),
    lastActive: newest === 0 ? null : new Date(newest).toISOString(),
    status: name === 'Webchat' ? (alive ? 'connected' : 'unreachable') : used
  }
}

function channelOf ({ key, channel, lastChannel }) {
  const rest = key.startsWith('agent:') ? key.split(':').slice(2).join(':') : key
  const first = rest.split(':', 1)[0].toLowerCase()
  if (ELSEWHERE.has(first)) return undefined
  if (BY_WORD.has(first)) return BY_WORD.get(first)
  const word = [channel, lastChannel].find((each) => each && each !== 'unknown')
  if (word) return BY_WORD.get(word.toLowerCase())
  return rest === 'main' || DIRECT.has(first) ? 'Webchat' : undefined
}

function messagesIn ({ messageCount, turns, messages }) {
  return messageCount ?? turns ?? messages?.length ?? 0
}

function cookie (header, name) {
  for (const pair of header?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
}

function sum (items, of) {
  return items.reduce((total, item) => total + of(item), 0)
}

function monthOf (time) {
  const moment = new Date(time)
  return moment.getUTCFullYear() * 12 + moment.getUTCMonth()
}

// Columns are naive UTC.
function sqlMoment (time) {
  return new Date(time).toISOString().slice(0, -1)
}

await app.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 2048 })
process.on('SIGTERM', () => process.exit(0))
