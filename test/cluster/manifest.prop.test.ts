import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromFile, toFile } from '../../src/cluster/directory/file.ts';
import { changedSecret, newSecret, toLive } from '../../src/cluster/manifest.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { change, dataAsText, manifest } from '../conformance/cluster-harness.ts';

const id = { namespace: 'team', secret: 'app' };
const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32)));
const key = fc.stringMatching(/^[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,20}$/);
const data = fc
  .dictionary(key, fc.uint8Array({ maxLength: 100 }), { maxKeys: 6 })
  .map(
    (entries) =>
      new Map(Object.entries(entries).map(([name, bytes]) => [name, SecretValue.fromBytes(bytes)])),
  );
const marks = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9./-]{0,20}$/), fc.string({ unit: 'binary' }), {
  maxKeys: 5,
});
/** Fields that a newer API server or another writer may add. */
const unknown = fc.dictionary(fc.stringMatching(/^x[A-Z][a-z]{1,8}$/), fc.jsonValue({ maxDepth: 2 }), {
  maxKeys: 3,
});

const served = (raw: object, metadata: object) => ({
  ...raw,
  metadata: { ...metadata, uid: 'u', resourceVersion: '1' },
});

it('a Secret is read back as it was written', () => {
  fc.assert(
    fc.property(data, marks, marks, (values, labels, annotations) => {
      const raw = newSecret(id, manifest({ data: values, labels, annotations }));
      const live = toLive(served(raw, raw.metadata as object), id);
      expect(live).toMatchObject({ labels, annotations });
      expect(dataAsText(live?.data)).toEqual(dataAsText(values));
    }),
  );
});

it('a change sets our fields, removes the requested labels, and keeps everything else', () => {
  fc.assert(
    fc.property(marks, marks, unknown, unknown, data, (theirs, ours, top, nested, values) => {
      const dropLabels = Object.keys(theirs).slice(0, 1);
      const raw = {
        ...top,
        ...newSecret(id, manifest()),
        metadata: { ...nested, name: 'app', namespace: 'team', labels: theirs },
      };
      const changed = changedSecret(raw, change({ labels: ours, annotations: {}, data: values, dropLabels }));
      expect(changed).toMatchObject(top);
      expect(changed.metadata).toMatchObject(nested);
      const kept = Object.entries(theirs).filter(([name]) => !dropLabels.includes(name));
      const { labels } = changed.metadata as { labels: unknown };
      expect(labels).toEqual({ ...Object.fromEntries(kept), ...ours });
      expect(dataAsText(toLive(served(changed, changed.metadata as object), id)?.data)).toEqual(
        dataAsText(values),
      );
    }),
  );
});

it('a manifest is equal to the original after its file is written and parsed', () => {
  fc.assert(
    fc.property(data, marks, marks, unknown, (values, labels, annotations, top) => {
      const raw = { ...top, ...newSecret(id, manifest({ data: values, labels, annotations })) };
      const back = fromFile(Buffer.from(toFile(raw, 'uid', 3, fingerprints)), id, 5n);
      expect(back).toEqual({
        ...raw,
        metadata: { ...(raw.metadata as object), uid: 'uid', resourceVersion: '3-5' },
      });
    }),
  );
});
