import { type JsonNode, member, textOf } from '../core/json.ts';
import { jsonOf } from './json-body.ts';

/** An event of Azure, whichever of its two forms it came in. */
export interface CloudEvent {
  readonly type: string;
  readonly data: JsonNode | undefined;
}

/**
 * One event or a list of them: the Event Grid schema
 * (https://learn.microsoft.com/en-us/azure/event-grid/event-schema) or CloudEvents 1.0 in structured and batched mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md). What else is in the list is
 * left out. Undefined: it is no JSON, or neither an object nor a list.
 */
export function parseCloudEvents(body: Uint8Array): readonly CloudEvent[] | undefined {
  const node = jsonOf(body);
  if (node?.kind === 'object') return [eventOf(node)].filter((event) => event !== undefined);
  if (node?.kind === 'array') return node.items.map(eventOf).filter((event) => event !== undefined);
  return undefined;
}

function eventOf(node: JsonNode): CloudEvent | undefined {
  const isCloudEvent = textOf(member(node, 'specversion')) === '1.0';
  const type = textOf(member(node, isCloudEvent ? 'type' : 'eventType'));
  return type === undefined ? undefined : { type, data: member(node, 'data') };
}
