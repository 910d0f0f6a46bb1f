import { AppError } from '../core/errors.ts';
import { type JsonNode, textOf } from '../core/json.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import { type CloudEvent, parseCloudEvents } from './cloud-event.ts';
import { createEntraProof, type EntraConfig } from './entra.ts';
import type { Hint, Origin, TakeHints } from './hint.ts';
import type { EventGridIntake, PostHead } from './posted.ts';
import { createHeldKey, type HeldKeyDeps } from './webhook-key.ts';

/** https://learn.microsoft.com/en-us/azure/event-grid/webhook-event-delivery */
const VALIDATION = 'Microsoft.EventGrid.SubscriptionValidationEvent';
/** https://learn.microsoft.com/en-us/azure/event-grid/event-schema-key-vault */
const ABOUT_OBJECT = /^Microsoft\.KeyVault\.(Secret|Certificate|Key)(NewVersionCreated|NearExpiry|Expired)$/;
/** Delivery properties are headers of a name that is ours to choose; the second is one that Event Grid itself uses. */
const KEY_HEADERS = ['x-secretbridge-key', 'aeg-sas-key'];
/** As Key Vault names its vaults' objects. */
const OBJECT_NAME = /^[0-9A-Za-z-]{1,127}$/;

export interface EventGridConfig {
  readonly name: string;
  readonly store: string;
  /** One of the two, as the configuration is checked for. */
  readonly key?: Reference | undefined;
  readonly entra?: EntraConfig | undefined;
}

export interface EventGridDeps extends HeldKeyDeps {
  readonly config: EventGridConfig;
  /** Of the store: what other vaults say is not for us. */
  readonly vaultUrl: string;
  /** Where the keys of Microsoft Entra are, for tests. */
  readonly authority?: string | undefined;
  readonly take: TakeHints;
}

export function createEventGridIntake(deps: EventGridDeps): EventGridIntake {
  const { config, vaultUrl, take } = deps;
  const origin: Origin = { kind: 'eventGrid', name: config.name };
  return {
    origin,
    admit: admission(deps),
    accept(body, requestId) {
      const events = parseCloudEvents(body);
      if (events === undefined) throw invalid('the body is no event and no list of events');
      const validation = events.find(({ type }) => type === VALIDATION);
      if (validation !== undefined) return { validationCode: codeOf(validation) };
      const hints = new Map<string, Hint>();
      for (const event of events) {
        const name = objectOf(event, vaultUrl);
        // Names in Key Vault do not know case, and a mapping may have another one.
        if (name !== undefined)
          hints.set(name, { store: config.store, keys: [...new Set([name, name.toLowerCase()])] });
      }
      return take([...hints.values()], origin, requestId);
    },
  };
}

function admission({ config, ...deps }: EventGridDeps): EventGridIntake['admit'] {
  const { key, entra } = config;
  if (entra !== undefined) {
    const proof = createEntraProof(entra, deps);
    return async ({ header }) => {
      if (!(await proof.holds(header('authorization'))))
        throw refused('there is no token of Microsoft Entra, or not the right one');
    };
  }
  if (key === undefined) throw new AppError('INTERNAL', { detail: 'a subscription without a key' });
  const held = createHeldKey(key, deps);
  return async (head) => {
    const given = keysOf(head);
    const isKnown = given.length > 0 && (await held.check((known) => given.some((one) => known.equals(one))));
    if (!isKnown) throw refused('there is no key, or not the right one');
  };
}

function keysOf({ header, key }: PostHead): readonly SecretValue[] {
  const headers = KEY_HEADERS.map(header).filter((value) => value !== undefined);
  // Node gives headers as Latin-1.
  const given = headers.map((value) => SecretValue.fromBytes(Buffer.from(value, 'latin1')));
  return key === undefined ? given : [...given, key];
}

/** It is sent back as it came, so it must look like one. */
function codeOf({ data }: CloudEvent): string {
  const code = textOf(memberOf(data, 'validationCode')) ?? '';
  if (!/^[\w.-]{1,128}$/.test(code))
    throw invalid('the validation event has no code, or none of the usual form');
  return code;
}

/** The name of what changed; undefined for what is not about an object of this vault. */
function objectOf({ type, data }: CloudEvent, vaultUrl: string): string | undefined {
  const name = textOf(memberOf(data, 'ObjectName'))?.trim();
  if (!ABOUT_OBJECT.test(type) || name === undefined || !OBJECT_NAME.test(name)) return undefined;
  return isOf(data, new URL(vaultUrl)) ? name : undefined;
}

/** By the address of the object, or where there is none by the name of the vault. */
function isOf(data: JsonNode | undefined, vault: URL): boolean {
  const id = textOf(memberOf(data, 'Id'));
  if (id !== undefined) return URL.parse(id)?.host === vault.host;
  return textOf(memberOf(data, 'VaultName'))?.toLowerCase() === vault.hostname.split('.')[0];
}

/** The documentation has these names in one case, and the service sends them in another. */
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
