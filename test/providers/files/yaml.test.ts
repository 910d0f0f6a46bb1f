import { describe, expect, it } from 'vitest';
import { yamlToJson } from '../../../src/providers/files/yaml.ts';

describe('yamlToJson', () => {
  it.each([
    [
      'numbers with their source text',
      'a: 123456789012345678901\nb: 1.10\nc: 1e5\nd: -0',
      '{"a":123456789012345678901,"b":1.10,"c":1e5,"d":-0}',
    ],
    [
      'numbers that are not valid JSON numbers',
      'a: 007\nb: 0x1F\nc: .5\nd: .inf\ne: +1',
      '{"a":"007","b":"0x1F","c":".5","d":".inf","e":"+1"}',
    ],
    [
      'words',
      'a: true\nb: False\nc: ~\nd:\ne: yes\nf: 2026-01-01',
      '{"a":true,"b":false,"c":null,"d":null,"e":"yes","f":"2026-01-01"}',
    ],
    [
      'text in every style',
      "a: 'x''y'\nb: \"x\\ny\"\nc: |\n  x\n  y\nd: >-\n  x\n  y",
      '{"a":"x\'y","b":"x\\ny","c":"x\\ny\\n","d":"x y"}',
    ],
    ['the order of members', 'z: 1\na: {c: 1, b: 2}\n10: x', '{"z":1,"a":{"c":1,"b":2},"10":"x"}'],
    [
      'keys with their source text',
      '8080: web\ntrue: x\n0x1F: y\n1.10: z\n~: n',
      '{"8080":"web","true":"x","0x1F":"y","1.10":"z","~":"n"}',
    ],
    ['quoted keys', '"10": x\n"__proto__": y', '{"10":"x","__proto__":"y"}'],
    ['lists', '- a\n- - 1\n- {}', '["a",[1],{}]'],
    ['JSON', '{"b": 1.10, "a": [null]}', '{"b":1.10,"a":[null]}'],
    ['nothing', '', 'null'],
  ])('keeps the exact meaning of %s', (_, yaml, json) => {
    expect(yamlToJson(yaml)).toBe(json);
  });

  it.each([
    ['duplicate keys', 'a: 1\na: 2'],
    ['keys that become equal', '1: a\n"1": b'],
    ['keys with anchors or tags', '!!str 1: a'],
    ['keys that are lists', '? [a]\n: b'],
    ['anchors', 'a: &x 1'],
    ['aliases', 'a: &x 1\nb: *x'],
    ['merge keys', 'a: &x {b: 1}\nc:\n  <<: *x'],
    ['tags', 'a: !!str 1'],
    ['unknown tags', 'a: !secret 1'],
    ['several documents', 'a: 1\n---\nb: 2'],
    ['broken YAML', 'a: [1'],
    ['tabs as indentation', 'a:\n\tb: 1'],
  ])('returns undefined for %s', (_, yaml) => {
    expect(yamlToJson(yaml)).toBeUndefined();
  });

  it('needs a time that grows only linearly with the number of keys', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => `key${index}: ${index}`).join('\n');
    const startedAt = performance.now();
    expect(yamlToJson(many)).toContain('"key9999":9999}');
    expect(performance.now() - startedAt).toBeLessThan(5_000); // A comparison of every pair of keys would take a minute.
  });

  it('returns undefined for a document so deep or long that parsing would exhaust the process', () => {
    expect(yamlToJson('['.repeat(20_000))).toBeUndefined();
    expect(yamlToJson(`${'['.repeat(600)}${']'.repeat(600)}`)).toBeUndefined();
    expect(yamlToJson(`a: ${'x'.repeat(1024 * 1024)}`)).toBeUndefined();
  });
});
