import { AppError } from '../core/errors.ts';
import { type JsonNode, member, parseIfJsonBytes, textOf } from '../core/json.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import { createEntraVerifier, type EntraConfig } from './entra.ts';
import type { EventGridIntake, Hint, Origin, RequestHead, SubmitHints } from './hint.ts';
import { createRotatingKey, type RotatingKeyDeps } from './rotating-key.ts';

/** An Azure event, independent of its format. */
interface CloudEvent {
  readonly type: string;
  readonly data: JsonNode | undefined;
}

/**
 * Parses one event or a list of events. Accepts the Event Grid schema
 * (https://learn.microsoft.com/en-us/azure/event-grid/event-schema) and CloudEvents 1.0 in structured and batched mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md). Drops list items that are not
 * events. Returns undefined if the body is not a JSON object or list.
 */
function parseCloudEvents(body: Uint8Array): readonly CloudEvent[] | undefined {
  const node = parseIfJsonBytes(body);
  if (node?.kind === 'object') return [eventOf(node)].filter((event) => event !== undefined);
  if (node?.kind === 'array') return node.items.map(eventOf).filter((event) => event !== undefined);
  return undefined;
}

function eventOf(node: JsonNode): CloudEvent | undefined {
  const isCloudEvent = textOf(member(node, 'specversion')) === '1.0';
  const type = textOf(member(node, isCloudEvent ? 'type' : 'eventType'));
  return type === undefined ? undefined : { type, data: member(node, 'data') };
}

/** https://learn.microsoft.com/en-us/azure/event-grid/webhook-event-delivery */
const VALIDATION_EVENT = 'Microsoft.EventGrid.SubscriptionValidationEvent';
/** The event format: https://learn.microsoft.com/en-us/azure/event-grid/event-schema-key-vault */
const OBJECT_EVENT = /^Microsoft\.KeyVault\.(Secret|Certificate|Key)(NewVersionCreated|NearExpiry|Expired)$/;
/**
 * The headers that may contain the key. In a subscription, users can add the key as a header with any name. The second
 * header is the one that Event Grid itself uses.
 */
const KEY_HEADERS = ['x-secretbridge-key', 'aeg-sas-key'];
/** The names that Key Vault allows for objects. */
const OBJECT_NAME = /^[0-9A-Za-z-]{1,127}$/;

interface EventGridConfig {
  readonly name: string;
  readonly store: string;
  /** The configuration schema ensures that exactly one of `key` and `entra` is set. */
  readonly key?: Reference | undefined;
  readonly entra?: EntraConfig | undefined;
}

interface EventGridDeps extends RotatingKeyDeps {
  readonly config: EventGridConfig;
  /** The URL of the store's vault. Events of other vaults are ignored. */
  readonly vaultUrl: string;
  /** The address of Microsoft Entra's signing keys. Set only in tests. */
  readonly authority?: string | undefined;
  readonly submit: SubmitHints;
}

export function createEventGridIntake(deps: EventGridDeps): EventGridIntake {
  const { config, vaultUrl, submit } = deps;
  const origin: Origin = { kind: 'eventGrid', name: config.name };
  return {
    origin,
    authenticate: createAuthenticator(deps),
    accept(body, requestId) {
      const events = parseCloudEvents(body);
      if (events === undefined) throw invalid('the body is not an event or a list of events');
      const validation = events.find(({ type }) => type === VALIDATION_EVENT);
      if (validation !== undefined) return { validationCode: validationCodeOf(validation) };
      const hints = new Map<string, Hint>();
      for (const event of events) {
        const name = objectNameOf(event, vaultUrl);
        // Names in Key Vault are case-insensitive, so a mapping can write a name in a different case than the event.
        if (name !== undefined)
          hints.set(name, { store: config.store, keys: [...new Set([name, name.toLowerCase()])] });
      }
      return submit([...hints.values()], origin, requestId);
    },
  };
}

function createAuthenticator({ config, ...deps }: EventGridDeps): EventGridIntake['authenticate'] {
  const { key, entra } = config;
  if (entra !== undefined) {
    const verifier = createEntraVerifier(entra, deps);
    return async ({ header }) => {
      if (!(await verifier.verify(header('authorization'))))
        throw refused('the Microsoft Entra token is missing or not valid');
    };
  }
  if (key === undefined)
    throw new AppError('INTERNAL', { detail: 'the subscription has neither a key nor Entra' });
  const rotatingKey = createRotatingKey(key, deps);
  return async (head) => {
    const presentedKeys = keysOf(head);
    const isAccepted =
      presentedKeys.length > 0 &&
      (await rotatingKey.check((accepted) => presentedKeys.some((presented) => accepted.equals(presented))));
    if (!isAccepted) throw refused('the key is missing or wrong');
  };
}

function keysOf({ header, key }: RequestHead): readonly SecretValue[] {
  const headers = KEY_HEADERS.map(header).filter((value) => value !== undefined);
  // Node decodes headers as Latin-1, so encode them back to the original bytes.
  const headerKeys = headers.map((value) => SecretValue.fromBytes(Buffer.from(value, 'latin1')));
  return key === undefined ? headerKeys : [...headerKeys, key];
}

/** Check the format of the value, because the response contains the value. */
function validationCodeOf({ data }: CloudEvent): string {
  const code = textOf(memberOf(data, 'validationCode')) ?? '';
  if (!/^[\w.-]{1,128}$/.test(code)) throw invalid('the validation event has no valid code');
  return code;
}

/** Returns the name of the changed object. Returns undefined if the event is not about an object of this vault. */
function objectNameOf({ type, data }: CloudEvent, vaultUrl: string): string | undefined {
  const name = textOf(memberOf(data, 'ObjectName'))?.trim();
  if (!OBJECT_EVENT.test(type) || name === undefined || !OBJECT_NAME.test(name)) return undefined;
  return isFromVault(data, new URL(vaultUrl)) ? name : undefined;
}

/**
 * Returns whether the event is about this vault. Compares the URL of the object, or the name of the vault if the event
 * contains no URL.
 */
function isFromVault(data: JsonNode | undefined, vault: URL): boolean {
  const id = textOf(memberOf(data, 'Id'));
  if (id !== undefined) return URL.parse(id)?.host === vault.host;
  return textOf(memberOf(data, 'VaultName'))?.toLowerCase() === vault.hostname.split('.')[0];
}

/**
 * Finds a member and ignores the case of its name, because Azure sends names in a different case than its documentation
 * shows.
 */
function memberOf(data: JsonNode | undefined, name: string): JsonNode | undefined {
  if (data?.kind !== 'object') return undefined;
  return data.members.find(([one]) => one.trim().toLowerCase() === name.toLowerCase())?.[1];
}

function refused(detail: string): AppError {
  return new AppError('EVENT_REFUSED', { detail });
}

function invalid(detail: string): AppError {
  return new AppError('INVALID_REQUEST', { detail });
}
