import { type JsonObject, parseObject } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { KubeClient } from './client.ts';
import { errorFromResponse, unexpectedResponse } from './errors.ts';
import type { Caller, Identities } from './identities.ts';
import { listIn, objectIn, textIn } from './json.ts';

/** Authenticates callers by TokenReviews of the API server. Results are not cached here. */
export function createIdentities(client: KubeClient): Identities {
  async function review(path: string, body: JsonObject, signal: AbortSignal | undefined) {
    const subject = `identity review (${String(body.kind)})`;
    const response = await client.send({ method: 'POST', path, body, signal });
    if (response.status !== 201) throw errorFromResponse(response, subject);
    const result = parseObject(response.text) ?? {};
    const status = objectIn(result, 'status');
    if (result.kind !== body.kind || status === undefined) throw unexpectedResponse(subject);
    return { status, about: subject };
  }

  return {
    async review(token, audience, { signal } = {}) {
      const text = textOf(token);
      if (text === undefined) return undefined;
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: text, audiences: [audience] },
      };
      const { status, about: subject } = await review(
        '/apis/authentication.k8s.io/v1/tokenreviews',
        body,
        signal,
      );
      if (status.authenticated !== true) return undefined;
      // A server or webhook without support for audiences returns no audience. The token might then be meant for the
      // API server itself.
      if (!listIn(status, 'audiences').includes(audience)) return undefined;
      const caller = callerOf(objectIn(status, 'user') ?? {});
      if (caller === undefined) throw unexpectedResponse(subject);
      return caller;
    },
    async canUseRole({ name, uid, groups, extra }, role, { signal } = {}) {
      const resourceAttributes = { verb: 'use', group: 'secretbridge.dev', resource: 'roles', name: role };
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: name,
          groups,
          ...(uid === undefined ? {} : { uid }),
          ...(extra === undefined ? {} : { extra }),
          resourceAttributes,
        },
      };
      const { status, about: subject } = await review(
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        body,
        signal,
      );
      if (typeof status.allowed !== 'boolean') throw unexpectedResponse(subject);
      return status.allowed && status.denied !== true;
    },
  };
}

function callerOf(user: JsonObject): Caller | undefined {
  const name = textIn(user, 'username');
  const uid = textIn(user, 'uid');
  const groups = listIn(user, 'groups').filter((group) => typeof group === 'string');
  const extra = Object.entries(objectIn(user, 'extra') ?? {}).map(([key, values]) => [
    key,
    stringsOf(values),
  ]);
  if (!name) return undefined;
  return {
    name,
    groups,
    ...(uid ? { uid } : {}),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

const stringsOf = (values: unknown): readonly string[] =>
  Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];

/** The token as text, or `undefined` if the bytes cannot be a token. Such bytes need no TokenReview. */
function textOf(token: SecretValue): string | undefined {
  const text = token.revealText('latin1');
  // Token characters as in RFC 6750, section 2.1.
  return /^[-A-Za-z0-9._~+/]+=*$/.test(text) ? text : undefined;
}
