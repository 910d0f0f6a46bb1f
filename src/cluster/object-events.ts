import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import { FIELD_MANAGER } from './cluster.ts';
import { errorFromResponse, isNotFound, unexpectedResponse } from './errors.ts';
import { objectIn, textIn } from './json.ts';
import { checkNamespace, checkTarget } from './names.ts';
import type { ObjectEvent, ObjectEvents, WrittenEvent } from './team-ports.ts';

/** Without the data of the object. */
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const PLURALS = { Secret: 'secrets', ConfigMap: 'configmaps' } as const;
/** The API server rejects a longer message. */
const MAX_MESSAGE = 1_024;
/** The name of an event has a suffix, and 253 characters at most. */
const MAX_NAME = 230;

/** https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
export function createObjectEvents(client: KubeClient): ObjectEvents {
  return {
    async create(event, time) {
      const { kind, namespace, name } = event.object;
      checkTarget({ namespace, secret: name });
      const uid = await uidOf(client, event.object);
      if (uid === undefined) return undefined;
      const body = eventBody(event, uid, time);
      const path = `/api/v1/namespaces/${namespace}/events?fieldManager=${FIELD_MANAGER}`;
      const response = await client.send({ method: 'POST', path, body });
      if (response.status !== 201) throw errorFromResponse(response, `Event on ${kind} ${namespace}/${name}`);
      return { namespace, name: body.metadata.name };
    },
    exists: async (object) => (await uidOf(client, object)) !== undefined,
    async repeat({ namespace, name }: WrittenEvent, count, time) {
      checkNamespace(namespace);
      const path = `/api/v1/namespaces/${namespace}/events/${name}?fieldManager=${FIELD_MANAGER}`;
      const response = await client.send({
        method: 'PATCH',
        path,
        body: { count, lastTimestamp: secondsOf(time) },
        contentType: 'application/merge-patch+json',
      });
      // The API server deletes events after an hour.
      if (isNotFound(response, 'events')) return false;
      if (response.status !== 200) throw errorFromResponse(response, `Event ${namespace}/${name}`);
      return true;
    },
  };
}

/** `kubectl describe` shows only events with the uid of the object. Returns undefined if the object does not exist. */
async function uidOf(
  client: KubeClient,
  { kind, namespace, name }: ObjectEvent['object'],
): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${namespace}/${PLURALS[kind]}/${name}`;
  const response = await client.send({ method: 'GET', path, accept: METADATA });
  if (isNotFound(response, PLURALS[kind])) return undefined;
  const subject = `${kind} ${namespace}/${name}`;
  if (response.status !== 200) throw errorFromResponse(response, subject);
  const uid = textIn(objectIn(parseObject(response.text) ?? {}, 'metadata') ?? {}, 'uid');
  if (!uid) throw unexpectedResponse(subject);
  return uid;
}

function eventBody({ object, type, reason, message }: ObjectEvent, uid: string, time: number) {
  const { kind, namespace, name } = object;
  const timestamp = secondsOf(time);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { namespace, name: `${name.slice(0, MAX_NAME)}.${randomBytes(8).toString('hex')}` },
    involvedObject: { apiVersion: 'v1', kind, namespace, name, uid },
    ...{ type, reason },
    message: message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE - 1).toWellFormed()}…`,
    ...{ count: 1, firstTimestamp: timestamp, lastTimestamp: timestamp },
    source: { component: 'secretbridge', host: hostname() },
    reportingComponent: 'secretbridge.dev/controller',
    reportingInstance: hostname(),
  };
}

/** Timestamps of events have whole seconds. */
function secondsOf(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
