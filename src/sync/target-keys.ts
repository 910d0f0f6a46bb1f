import { AppError } from '../core/errors.ts';
import type { Rename } from '../core/mapping.ts';

/** Whether Kubernetes accepts the name as a key of a Secret. */
export function isTargetKey(name: string): boolean {
  return /^[-._a-zA-Z0-9]{1,253}$/.test(name) && name !== '.' && !name.startsWith('..');
}

/** Makes the target key from a name in a store. Applies `case`, then `prefix`, then `invalid`. */
export function targetKey(name: string, rename: Rename | undefined, subject: string): string {
  const cased =
    rename?.case === 'upper' ? name.toUpperCase() : rename?.case === 'lower' ? name.toLowerCase() : name;
  const prefixed = `${rename?.prefix ?? ''}${cased}`;
  const key = rename?.invalid === 'replace' ? replaceInvalid(prefixed) : prefixed;
  if (!isTargetKey(key)) throw new AppError('KEY_INVALID', { subject, detail: `key ${JSON.stringify(key)}` });
  return key;
}

/** @param sources The descriptions of both sources. */
export function keyCollision(key: string, ...sources: readonly [string, string]): AppError {
  return new AppError('KEY_COLLISION', { subject: `key ${key}`, detail: sources.join('; and ') });
}

function replaceInvalid(name: string): string {
  const allowed = name.replace(/[^-._a-zA-Z0-9]/gu, '_');
  return allowed === '.' || allowed.startsWith('..') ? `_${allowed.slice(1)}` : allowed;
}
