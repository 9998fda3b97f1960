// Clients that sign, and tokens that are bound to a key: what `server.mjs` has for them. The keys and
// certificates are those that `certificates` made in the folder CERTIFICATES.
import { createServer } from 'node:https';
import { once } from 'node:events';
import { createHash, createPrivateKey, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
// What its own grants do with a proof; the package does not offer it to grants of others.
import { applyDpopBinding } from './node_modules/oidc-provider/lib/helpers/grant_common.js';
import { checkMtlsCert } from './node_modules/oidc-provider/lib/helpers/sender_constraints.js';
import validateDpop from './node_modules/oidc-provider/lib/helpers/validate_dpop.js';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const SECRET = 'a-secret-of-32-bytes-for-tests-only';

const read = (name) => readFileSync(`${process.env.CERTIFICATES}/${name}`);
const publicJwk = (name) => createPublicKey(createPrivateKey(read(name))).export({ format: 'jwk' });

/** The clients. Those named `fapi` keep to the FAPI 2.0 security profile. */
export function clients(common, grantTypes) {
  const all = { ...common, grant_types: [...grantTypes, EXCHANGE, JWT_BEARER] };
  const key = { ...publicJwk('assertion.key'), use: 'sig', alg: 'ES256', kid: 'assertion' };
  const bound = { tls_client_certificate_bound_access_tokens: true, use_mtls_endpoint_aliases: true };
  const selfSigned = new X509Certificate(read('self-signed.crt')).raw.toString('base64');
  const signing = {
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [key] },
    dpop_bound_access_tokens: true,
  };
  return [
    { ...all, client_id: 'signing', ...signing },
    { ...all, client_id: 'fapi', ...signing, require_pushed_authorization_requests: true },
    {
      ...all,
      client_id: 'fapi-mtls',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=client',
      require_pushed_authorization_requests: true,
      ...bound,
    },
    {
      ...all,
      client_id: 'self-signed',
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
      jwks: { keys: [{ ...publicJwk('self-signed.key'), x5c: [selfSigned] }] },
      ...bound,
    },
    {
      ...all,
      client_id: 'signed-secret',
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg: 'HS256',
    },
  ];
}

const certificate = (ctx) => ctx.socket.getPeerX509Certificate?.();

/** What the provider's configuration has for them. */
export const features = {
  registration: { enabled: true },
  dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  fapi: {
    enabled: true,
    profile: (_ctx, client) => (client?.clientId.startsWith('fapi') ? '2.0' : undefined),
  },
  mTLS: {
    enabled: true,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: (ctx) => certificate(ctx)?.toString(),
    certificateAuthorized: (ctx) => ctx.socket.authorized === true,
    certificateSubjectMatches: (ctx, property, expected) =>
      property === 'tls_client_auth_subject_dn' && certificate(ctx).subject === expected,
  },
};
export const clientAuthMethods = [
  'private_key_jwt',
  'client_secret_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
];

/** A second door for clients with a certificate; the metadata names it. */
export async function openTls() {
  const server = createServer({
    ca: read('ca.crt'),
    cert: read('server.crt'),
    key: read('server.key'),
    requestCert: true,
    // One that is signed by itself is looked at later.
    rejectUnauthorized: false,
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `https://127.0.0.1:${server.address().port}`;
  const aliases = {
    token_endpoint: `${origin}/token`,
    revocation_endpoint: `${origin}/token/revocation`,
    introspection_endpoint: `${origin}/token/introspection`,
    device_authorization_endpoint: `${origin}/device/auth`,
    pushed_authorization_request_endpoint: `${origin}/request`,
    userinfo_endpoint: `${origin}/me`,
  };
  return { server, origin, aliases };
}

/** Token exchange and JWT bearer, which the package leaves to its users. */
export function registerGrants(provider, errors) {
  const issue = async (ctx, accountId, more) => {
    const { client } = ctx.oidc;
    const dPoP = await validateDpop(provider, ctx);
    const token = new provider.ClientCredentials({ client, scope: ctx.oidc.params.scope });
    const cert = checkMtlsCert(provider, ctx);
    if (cert) token.setThumbprint('x5t', cert);
    await applyDpopBinding(provider, ctx, dPoP, token);
    if (client.dpopBoundAccessTokens && !dPoP) throw new errors.InvalidGrant('a proof is missing');
    const access_token = await token.save();
    const { expiration: expires_in, tokenType: token_type } = token;
    ctx.body = { access_token, expires_in, token_type, scope: token.scope, ...more };
  };
  const find = async (value) =>
    (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value));

  const exchange = async (ctx) => {
    const { subject_token, subject_token_type } = ctx.oidc.params;
    const type = 'urn:ietf:params:oauth:token-type:access_token';
    const subject = subject_token_type === type && (await find(subject_token));
    if (!subject) throw new errors.InvalidGrant('the subject token is not known');
    await issue(ctx, subject.accountId, { issued_token_type: type });
  };
  provider.registerGrantType(
    EXCHANGE,
    exchange,
    ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope'],
    ['audience', 'resource'],
  );

  // The assertion is signed with the same key as the client's own.
  const key = createPublicKey(createPrivateKey(read('assertion.key')));
  const bearer = async (ctx) => {
    const options = { audience: provider.issuer, subject: 'alice', issuer: 'https://idp.example' };
    try {
      await jwtVerify(ctx.oidc.params.assertion ?? '', key, options);
    } catch {
      throw new errors.InvalidGrant('the assertion is not valid');
    }
    await issue(ctx, 'alice', {});
  };
  provider.registerGrantType(JWT_BEARER, bearer, ['assertion', 'scope']);
}

const sha256 = (text) => createHash('sha256').update(text).digest('base64url');
const NONCES = 1024;
const nonces = [randomBytes(16).toString('hex')];
const seen = new Set();

/**
 * What an API answers to a request with a token that is bound: nothing if all is well, or the error of its
 * challenge. Each answer brings another nonce; the last ones stay good for requests that are under way.
 */
export async function checkBinding(ctx, token, scheme, value, stats) {
  if (token['x5t#S256']) {
    const presented = certificate(ctx);
    const thumbprint = presented && createHash('sha256').update(presented.raw).digest('base64url');
    return thumbprint === token['x5t#S256'] ? undefined : 'invalid_token';
  }
  if (!token.jkt) return scheme === 'bearer' ? undefined : 'invalid_token';
  if (scheme !== 'dpop') return 'invalid_token';

  const good = [...nonces];
  nonces.unshift(randomBytes(16).toString('hex'));
  nonces.length = Math.min(nonces.length, NONCES);
  ctx.set('DPoP-Nonce', nonces[0]);
  try {
    const { payload, protectedHeader } = await jwtVerify(ctx.get('DPoP'), EmbeddedJWK, { typ: 'dpop+jwt' });
    if (payload.htm !== ctx.method || payload.htu !== new URL(ctx.path, ctx.href).href) throw new Error('htu');
    if (payload.ath !== sha256(value)) throw new Error('ath');
    if ((await calculateJwkThumbprint(protectedHeader.jwk)) !== token.jkt) throw new Error('jkt');
    if (!(Math.abs(payload.iat - Date.now() / 1000) < 60)) throw new Error('iat');
    if (seen.has(payload.jti)) {
      stats.proofs_replayed += 1;
      throw new Error('jti');
    }
    seen.add(payload.jti);
    if (!good.includes(payload.nonce)) {
      stats.nonces_asked += 1;
      return 'use_dpop_nonce';
    }
    return undefined;
  } catch (error) {
    stats.proof_errors[error.message] = (stats.proof_errors[error.message] ?? 0) + 1;
    return 'invalid_dpop_proof';
  }
}
