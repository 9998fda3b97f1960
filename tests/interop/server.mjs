// A real OAuth 2 / OpenID Connect server for the interop tests: the npm package `oidc-provider`
// on 127.0.0.1, with the sign-in done by itself. For tests only. See README.md.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

// stdout carries the ready line and nothing else; the package prints its notices through console.
console.log = console.info = console.warn = console.error;
const { Provider, errors } = await import('oidc-provider');
const keys = await import('./keys.mjs');
const api = await import('./api.mjs');

const TTL = Number(process.env.ACCESS_TOKEN_TTL || 3);
const DELAY = Number(process.env.TOKEN_DELAY_MS || 0);
const HUMAN = process.env.HUMAN === '1';
const DAY = 24 * 60 * 60;
const ACCOUNT = 'alice';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

// `native` makes the redirect URI match on any loopback port (RFC 8252 section 7.3).
const common = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/cb'],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials', DEVICE],
};
const clients = [
  {
    ...common,
    client_id: 'cli',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token', DEVICE],
  },
  {
    ...common,
    client_id: 'web',
    client_secret: 'web-secret-for-tests-only',
    token_endpoint_auth_method: 'client_secret_basic',
  },
  {
    ...common,
    client_id: 'web-post',
    client_secret: 'web-post-secret-for-tests-only',
    token_endpoint_auth_method: 'client_secret_post',
  },
  {
    // Characters that must be form-encoded inside the Basic header (RFC 6749 section 2.3.1).
    client_id: 'odd:client +1',
    client_secret: 'p%40ss w:rd+/&=~',
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  },
  ...keys.clients(common, common.grant_types),
  api.client,
];
const isListed = (client) => clients.some(({ client_id }) => client_id === client.clientId);

const page = (body) => `<!doctype html><meta charset="utf-8"><title>Test server</title>${body}\n`;
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const server = createServer();
// By default it closes a connection after five idle seconds, maybe as the next request goes out.
server.keepAliveTimeout = 0;
server.listen(Number(process.env.PORT || 0), '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
const tls = await keys.openTls();
const { resource, serve } = await api.openApi();

const provider = new Provider(issuer, {
  clients,
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', ...keys.clientAuthMethods],
  clockTolerance: 0,
  discovery: { mtls_endpoint_aliases: tls.aliases },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  jwks: {
    keys: [
      {
        ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
        use: 'sig',
        alg: 'RS256',
      },
    ],
  },
  scopes: ['openid', 'offline_access', 'api:read', 'api:write'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_ctx, sub) =>
    sub === ACCOUNT
      ? {
          accountId: sub,
          claims: () => ({ sub, email: 'alice@example.com', email_verified: true }),
        }
      : undefined,
  ttl: {
    AccessToken: TTL,
    ClientCredentials: TTL,
    AuthorizationCode: 60,
    DeviceCode: 600,
    Grant: DAY,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: DAY,
    Session: DAY,
  },
  pkce: { required: (_ctx, client) => client.clientAuthMethod === 'none' },
  rotateRefreshToken: true,
  // Clients that register themselves have to ask for it, as the package has it by default.
  issueRefreshToken: (_ctx, client, source) =>
    client.grantTypeAllowed('refresh_token') && (isListed(client) || source.scopes.has('offline_access')),
  // When the person logged in, for an API that wants to know.
  extraTokenClaims: (ctx) => {
    const { AuthorizationCode, DeviceCode, RefreshToken } = ctx.oidc.entities;
    const source = AuthorizationCode ?? DeviceCode ?? RefreshToken;
    return source && { auth_time: source.authTime };
  },
  expiresWithSession: () => false,
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    ...keys.features,
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    userinfo: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, identifier) => {
        if (identifier !== resource) throw new errors.InvalidTarget();
        return { scope: api.SCOPES.join(' '), audience: resource, accessTokenFormat: 'opaque' };
      },
    },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form, out) => {
        const problem = out ? `<p>${escape(out.error_description || out.error || 'wrong code')}</p>` : '';
        ctx.body = page(`${problem}${form}<button form="op.deviceInputForm">Continue</button>`);
      },
      userCodeConfirmSource: (ctx, form, client, _device, userCode) => {
        ctx.body = page(
          `<p>${escape(client.clientId)}: ${escape(userCode)}</p>${form}` +
            '<button form="op.deviceConfirmForm">Continue</button>' +
            '<button form="op.deviceConfirmForm" name="abort" value="yes">Abort</button>',
        );
      },
      successSource: (ctx) => {
        ctx.body = page('<p>Signed in. You can close this page.</p>');
      },
    },
  },
});

// ---- what the tests count -------------------------------------------------------------------

const bump = (counts, key) => {
  counts[key] = (counts[key] ?? 0) + 1;
};
const newStats = () => ({
  token_requests: 0,
  by_grant: {},
  token_success: 0,
  token_errors: {},
  errors_by_grant: {},
  grants_revoked: 0,
  reuse_detected: 0,
  userinfo: {},
  api: {},
  nonces_asked: 0,
  proofs_replayed: 0,
  proof_errors: {},
});
const stats = { ...newStats(), by_client: {} };

/** Runs `change` on the totals and, when the client is known, on that client's own counts. */
function count(clientId, change) {
  change(stats);
  if (clientId) change((stats.by_client[clientId] ??= newStats()));
}

provider.on('grant.revoked', (ctx) => {
  count(ctx.oidc.client?.clientId, (s) => (s.grants_revoked += 1));
});
provider.on('grant.error', (ctx, error) => {
  if (error.error_detail === 'refresh token already used') {
    count(ctx.oidc.client?.clientId, (s) => (s.reuse_detected += 1));
  }
  if (/replay/i.test(error.error_detail)) stats.proofs_replayed += 1;
});
provider.on('server_error', (_ctx, error) => console.error(error));

provider.use(async (ctx, next) => {
  if (ctx.path === '/token' && ctx.method === 'POST') {
    await next();
    count(ctx.oidc?.client?.clientId, (s) => {
      s.token_requests += 1;
      const grant = ctx.oidc?.params?.grant_type ?? 'unknown';
      bump(s.by_grant, grant);
      if (ctx.body?.error) bump((s.errors_by_grant[grant] ??= {}), ctx.body.error);
      if (ctx.status === 200) s.token_success += 1;
      else bump(s.token_errors, ctx.body?.error ?? String(ctx.status));
    });
    // The work is done (a refresh token is already rotated); only the answer is held back.
    if (DELAY) await sleep(DELAY);
  } else if (ctx.path === '/me') {
    await next();
    count(ctx.oidc?.client?.clientId, (s) => bump(s.userinfo, ctx.status));
  } else {
    await next();
  }
});

// ---- the routes that are ours ---------------------------------------------------------------

async function findToken(value) {
  for (const model of [provider.AccessToken, provider.ClientCredentials, provider.RefreshToken]) {
    const token = await model.find(value);
    if (token) return token.isValid ? token : undefined;
  }
  return undefined;
}

function countApi(ctx, token) {
  ctx.status = token ? 200 : 401;
  count(token?.clientId, (s) => bump(s.api, ctx.status));
}

async function newGrant(clientId, { scope, resource }) {
  const grant = new provider.Grant({ accountId: ACCOUNT, clientId });
  const names = scope?.split(' ') ?? [];
  grant.addOIDCScope(new Set(['openid', 'offline_access', 'email', ...names]));
  if (resource) grant.addResourceScope(resource, names.filter((name) => api.SCOPES.includes(name)).join(' '));
  return grant.save();
}

async function interaction(ctx) {
  const { params, prompt } = await provider.interactionDetails(ctx.req, ctx.res);
  const refused = { error: 'access_denied', error_description: 'the end-user refused' };
  const login = { accountId: ACCOUNT };
  const consent = async () => ({ grantId: await newGrant(params.client_id, params) });
  let result;

  if (!HUMAN) {
    result =
      params.login_hint === 'deny' ? refused : { login, consent: await consent() };
  } else if (ctx.method === 'POST') {
    const chunks = [];
    for await (const chunk of ctx.req) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    if (form.has('deny')) result = refused;
    else if (prompt.name === 'consent') result = { consent: await consent() };
    else if (form.get('login') === ACCOUNT) result = { login };
  }

  if (result) {
    ctx.status = 303;
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
    return;
  }
  const question =
    prompt.name === 'consent'
      ? `<p>${escape(params.client_id)} asks for: ${escape(params.scope)}</p><button>Allow</button>`
      : `<label>User <input name="login" value="${ACCOUNT}" autofocus></label><button>Sign in</button>`;
  ctx.body = page(`<form method="post">${question}<button name="deny" value="1">Deny</button></form>`);
}

/** Answers a device authorization as the user would, without the pages. */
async function decideDevice(ctx) {
  const userCode = String(ctx.query.user_code ?? '').toUpperCase().replace(/\W/g, '');
  const code = await provider.DeviceCode.findByUserCode(userCode);
  if (!code) {
    ctx.status = 404;
    return;
  }
  if (ctx.query.deny) {
    code.error = 'access_denied';
    code.errorDescription = 'the end-user refused';
  } else {
    code.accountId = ACCOUNT;
    code.authTime = Math.floor(Date.now() / 1000);
    code.scope = code.params.scope;
    code.grantId = await newGrant(code.clientId, code.params);
  }
  await code.save();
  ctx.status = 204;
}

provider.use(async (ctx, next) => {
  const route = `${ctx.method} ${ctx.path}`;
  if (route === 'GET /stats') {
    ctx.body = stats;
  } else if (route === 'GET /valid') {
    ctx.body = { active: Boolean(await findToken(ctx.query.token)) };
  } else if (route === 'GET /api') {
    const [, scheme, value] = /^(Bearer|DPoP) (\S+)$/i.exec(ctx.get('authorization')) ?? [];
    const found = value && (await findToken(value));
    let token = found && found.kind !== 'RefreshToken' ? found : undefined;
    let error = value ? 'invalid_token' : undefined;
    if (token) {
      error = await keys.checkBinding(ctx, token, scheme.toLowerCase(), value, stats);
      if (error) token = undefined;
    }
    countApi(ctx, token);
    if (token) {
      ctx.body = { ok: true, client_id: token.clientId, scope: token.scope };
    } else {
      ctx.set('WWW-Authenticate', `${scheme ?? 'Bearer'}${error ? ` error="${error}"` : ''}`);
      ctx.body = { ok: false };
    }
  } else if (route === 'POST /device-decision') {
    await decideDevice(ctx);
  } else if (/^(GET|POST) \/interaction\/[^/]+$/.test(route)) {
    await interaction(ctx);
  } else {
    await next();
  }
});

keys.registerGrants(provider, errors);
serve(issuer);
server.on('request', provider.callback());
tls.server.on('request', provider.callback());

// The starter holds the other end of stdin: when it goes away, for whatever reason, so do we.
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
process.stdin.resume();

process.stdout.write(`${JSON.stringify({ issuer, resource, pid: process.pid })}\n`);
