import { describe, expect, it } from 'vitest';
import { secretRefsOf } from '../../src/app/current-config.ts';
import { desiredIndex, targetsOf } from '../../src/reconcile/targets.ts';
import { mapping } from '../sync/sample.ts';

describe('targets of mappings', () => {
  const mappings = [
    mapping({ name: 'z', target: { namespaces: ['b', 'a'], secret: 'shared' } }),
    mapping({ name: 'y', target: { namespaces: ['a'], secret: 'own' } }),
    mapping({ name: 'x', target: { namespaces: ['a'], secret: 'shared', mode: 'merge' } }),
  ];

  it('a mapping has one target for each namespace, and its targets are sorted by namespace and name', () => {
    expect(
      targetsOf(mappings).map(({ id, mapping: { name } }) => `${id.namespace}/${id.secret} ${name}`),
    ).toEqual(['a/own y', 'a/shared x', 'a/shared z', 'b/shared z']);
  });

  it('a target is reported as desired only for the mapping that it belongs to', () => {
    const wants = desiredIndex(targetsOf(mappings));
    expect(wants('z', { namespace: 'b', secret: 'shared' })).toBe(true);
    expect(wants('y', { namespace: 'b', secret: 'shared' })).toBe(false);
    expect(wants('none', { namespace: 'b', secret: 'shared' })).toBe(false);
    // A mapping name that contains the separator of the lookup must not match the target of another mapping.
    expect(wants('y a', { namespace: 'own', secret: '' })).toBe(false);
  });
});

describe('Secrets with credentials', () => {
  it('the list of Secrets with credentials contains every reference in the configuration once, sorted', () => {
    const config = {
      stores: [
        { auth: { token: { secretRef: { name: 'vault', key: 'token' } } } },
        { auth: { roleId: 'plain', secretId: { secretRef: { name: 'approle', key: 'id' } } } },
      ],
      keys: { fingerprint: [{ secretRef: { name: 'vault', key: 'key' } }, { file: 'x' }] },
      http: undefined,
      other: [null, 1, 'secretRef', { secretRef: 'no reference' }],
    };
    expect(secretRefsOf(config)).toEqual(['approle', 'vault']);
  });
});
