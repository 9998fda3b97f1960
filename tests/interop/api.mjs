// An API that names its authorization server (RFC 9728) and knows nothing of it but its URL: it asks the
// provider about each token. For tests only. See README.md.
import { createServer } from 'node:http';
import { once } from 'node:events';

/** By its own id the API asks about tokens (RFC 7662); nobody logs in with it. */
export const client = {
  client_id: 'api',
  client_secret: 'api-secret-for-tests-only',
  token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: [],
  response_types: [],
  grant_types: [],
};

/** What the provider may put into tokens for the API. */
export const SCOPES = ['read', 'admin'];
const PATH = '/x';
const METADATA = `/.well-known/oauth-protected-resource${PATH}`;

/** The scope that each path needs. */
const paths = { [PATH]: 'read', [`${PATH}/admin`]: 'admin', [`${PATH}/money`]: 'read' };

/** Listens, and serves once the provider is there. */
export async function openApi() {
  const server = createServer();
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { resource: origin + PATH, serve: (issuer) => serve(server, origin, issuer) };
}

function serve(server, origin, issuer) {
  const resource = origin + PATH;
  const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64');
  const stats = { metadata: 0, bare: 0, answers: {} };
  // Whoever comes for the money logs in anew, once asked: by client, since when.
  const asked = {};

  async function introspect(token) {
    const response = await fetch(`${issuer}/token/introspection`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ token }),
    });
    return response.json();
  }

  /** The status of the answer, and what the challenge says. */
  async function judge(path, authorization) {
    const [, value] = /^Bearer (\S+)$/i.exec(authorization ?? '') ?? [];
    if (!value) {
      stats.bare += 1;
      return [401, { scope: 'read' }];
    }
    const token = await introspect(value);
    if (!token.active || token.aud !== resource) return [401, { error: 'invalid_token' }];
    const scope = paths[path];
    if (!token.scope?.split(' ').includes(scope)) return [403, { error: 'insufficient_scope', scope }];
    if (path.endsWith('/money') && !(token.auth_time >= asked[token.client_id])) {
      asked[token.client_id] = Math.floor(Date.now() / 1000);
      return [401, { error: 'insufficient_user_authentication', max_age: '1' }];
    }
    return [200];
  }

  async function answer(request, response) {
    const { pathname } = new URL(request.url, origin);
    const json = (status, body) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (pathname === METADATA) {
      stats.metadata += 1;
      return json(200, { resource, authorization_servers: [issuer], scopes_supported: SCOPES });
    }
    if (pathname === '/stats') return json(200, stats);
    if (!(pathname in paths)) return json(404, {});
    const [status, challenge] = await judge(pathname, request.headers.authorization);
    const answers = (stats.answers[pathname] ??= {});
    answers[status] = (answers[status] ?? 0) + 1;
    if (challenge) {
      const params = Object.entries({ ...challenge, resource_metadata: origin + METADATA });
      const text = params.map(([name, value]) => `${name}="${value}"`).join(', ');
      response.setHeader('WWW-Authenticate', `Bearer ${text}`);
    }
    json(status, { ok: status === 200 });
  }

  server.on('request', (request, response) =>
    answer(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    }),
  );
}
