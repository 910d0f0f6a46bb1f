import { type JsonNode, member, textOf } from '../core/json.ts';
import { parseJsonBody } from './json-body.ts';

/** An Azure event, independent of its format. */
export interface CloudEvent {
  readonly type: string;
  readonly data: JsonNode | undefined;
}

/**
 * Parses one event or a list of events. Accepts the Event Grid schema
 * (https://learn.microsoft.com/en-us/azure/event-grid/event-schema) and CloudEvents 1.0 in structured and batched mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md). Drops list items that are not
 * events. Returns undefined if the body is not a JSON object or list.
 */
export function parseCloudEvents(body: Uint8Array): readonly CloudEvent[] | undefined {
  const node = parseJsonBody(body);
  if (node?.kind === 'object') return [eventOf(node)].filter((event) => event !== undefined);
  if (node?.kind === 'array') return node.items.map(eventOf).filter((event) => event !== undefined);
  return undefined;
}

function eventOf(node: JsonNode): CloudEvent | undefined {
  const isCloudEvent = textOf(member(node, 'specversion')) === '1.0';
  const type = textOf(member(node, isCloudEvent ? 'type' : 'eventType'));
  return type === undefined ? undefined : { type, data: member(node, 'data') };
}
