import type { LiveSecret, SecretChange } from '../core/secret.ts';
import { ANNOTATION, isEquivalentMetadata, LABEL, PIN, REMOVED } from './ownership-metadata.ts';

/** The words for our own labels and annotations in the notes of records. */
const MEANING: Readonly<Record<string, string>> = {
  [LABEL.managedBy]: 'ownership',
  [LABEL.instance]: 'instance',
  [LABEL.mapping]: 'mapping name',
  [ANNOTATION.sources]: 'source versions',
  [ANNOTATION.stores]: 'store definitions',
  [ANNOTATION.fingerprint]: 'fingerprint',
  [ANNOTATION.config]: 'mapping',
  [ANNOTATION.onMappingRemoved]: 'onMappingRemoved',
  [PIN]: 'pin',
  [REMOVED]: 'removed sources',
};

/** Returns what a write changes besides the data, for its record: `source versions, label team`. */
export function metadataChanges(live: LiveSecret, change: SecretChange): readonly string[] {
  const changed = (wanted: Readonly<Record<string, string>>, present: Readonly<Record<string, string>>) =>
    Object.entries(wanted).flatMap(([name, value]) =>
      isEquivalentMetadata(name, present[name], value) ? [] : [name],
    );
  const labels = [...changed(change.labels, live.labels), ...change.dropLabels];
  const annotations = [...changed(change.annotations, live.annotations), ...change.dropAnnotations];
  const parts = [
    ...labels.map((name) => MEANING[name] ?? `label ${name}`),
    ...annotations.map((name) => MEANING[name] ?? `annotation ${name}`),
    ...(live.immutable === change.immutable ? [] : ['immutable']),
  ];
  return [...new Set(parts)];
}
