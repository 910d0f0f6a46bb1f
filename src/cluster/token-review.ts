import { type JsonObject, parseObject } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { KubeClient } from './client.ts';
import { errorOfAnswer } from './errors.ts';
import type { Caller, Identities } from './identities.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { unknownForm } from './pages.ts';

/** Who asks us, by what the API server says of the token; the answers are not kept. */
export function createIdentities(client: KubeClient): Identities {
  async function review(path: string, body: JsonObject, signal: AbortSignal | undefined) {
    const about = `review of an identity (${String(body.kind)})`;
    const answer = await client.send({ method: 'POST', path, body, signal });
    if (answer.status !== 201) throw errorOfAnswer(answer, about);
    const said = parseObject(answer.text) ?? {};
    const status = objectIn(said, 'status');
    if (said.kind !== body.kind || status === undefined) throw unknownForm(about);
    return { status, about };
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
      const { status, about } = await review('/apis/authentication.k8s.io/v1/tokenreviews', body, signal);
      if (status.authenticated !== true) return undefined;
      // A server or webhook that knows no audiences answers without any: then it may be a token for the API server.
      if (!listIn(status, 'audiences').includes(audience)) return undefined;
      const caller = callerOf(objectIn(status, 'user') ?? {});
      if (caller === undefined) throw unknownForm(about);
      return caller;
    },
    async mayUse({ name, uid, groups, extra }, role, { signal } = {}) {
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
      const { status, about } = await review(
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        body,
        signal,
      );
      if (typeof status.allowed !== 'boolean') throw unknownForm(about);
      return status.allowed && status.denied !== true;
    },
  };
}

function callerOf(user: JsonObject): Caller | undefined {
  const name = textIn(user, 'username');
  const uid = textIn(user, 'uid');
  const groups = listIn(user, 'groups').filter((group) => typeof group === 'string');
  const extra = Object.entries(objectIn(user, 'extra') ?? {}).map(([key, values]) => [key, textsOf(values)]);
  if (!name) return undefined;
  return {
    name,
    groups,
    ...(uid ? { uid } : {}),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

const textsOf = (values: unknown): readonly string[] =>
  Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];

/** `undefined`: no token has such bytes, and the server need not be asked. */
function textOf(token: SecretValue): string | undefined {
  const text = token.revealText('latin1');
  // RFC 6750, 2.1.
  return /^[-A-Za-z0-9._~+/]+=*$/.test(text) ? text : undefined;
}
