import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { run } from './run.ts';

describe('text filters', () => {
  it.each([
    ['"a" | append: "b" | prepend: "c"', 'cab'],
    ['"Straße é" | upcase', 'STRASSE É'],
    ['"ÀB" | downcase', 'àb'],
    ['"hello World" | capitalize', 'Hello World'],
    ['" \t a b \n" | strip', 'a b'],
    ['"  a  " | lstrip | append: "."', 'a  .'],
    ['"  a  " | rstrip | append: "."', '  a.'],
    ['"a\r\nb\nc" | strip_newlines', 'abc'],
    ['"a\r\nb\rc\n" | normalize_newlines', 'a\nb\nc\n'],
    ['"a.b.c" | replace: ".", "$&"', 'a$&b$&c'],
    ['"a.*b" | replace: ".*", "-"', 'a-b'],
    ['"banana" | remove: "an"', 'ba'],
    ['"a, b" | split: ", " | join', 'a b'],
    ['"a,b" | split: "," | join: ";"', 'a;b'],
    ['"c,a,b" | split: "," | sort | join: ""', 'abc'],
    ['"a,b,a" | split: "," | uniq | join: ""', 'ab'],
    ['"a,b" | split: "," | reverse | first', 'b'],
    ['"a,b" | split: "," | last', 'b'],
    ['"\u{1F600}é" | size', '2'],
    ['"a,b" | split: "," | size', '2'],
    ['"a\u{1F600}c" | slice: 1', '\u{1F600}'],
    ['"abcdef" | slice: -3, 2', 'de'],
    ['"abc" | slice: 1, 99', 'bc'],
    ['"abcdef" | truncate: 5', 'ab...'],
    ['"abcdef" | truncate: 5, "…"', 'abcd…'],
    ['"abc" | truncate: 5', 'abc'],
    ['"" | default: "x"', 'x'],
    ['false | default: "x"', 'x'],
    ['nil | default: "x"', 'x'],
    ['"a" | default: "x"', 'a'],
    ['"a\n\nb\n" | indent: 2', 'a\n\n  b\n'],
    ['"p@ss/w:rd é!" | url_encode', 'p%40ss%2Fw%3Ard%20%C3%A9%21'],
    ['"p%40ss%20%C3%A9" | url_decode', 'p@ss é'],
    [`'<a b="' | escape`, '&lt;a b=&#34;'],
    [`"'>&amp;é" | escape`, '&#39;&gt;&amp;amp;é'],
    [`"<a b='c'>&</a>" | xml_escape`, '&lt;a b=&apos;c&apos;&gt;&amp;&lt;/a&gt;'],
  ])('the expression %s returns %j', (expression, expected) => {
    // The template contains the quoted characters themselves, because Liquid needs no escapes here.
    expect(run(`{{ ${expression} }}`)).toBe(expected);
  });

  it.each([
    ['"a" | replace: "", "b"', 'the text to search for is empty'],
    ['"%zz" | url_decode', 'this is not percent-encoded UTF-8'],
    ['"a" | indent: 1000', 'expected 0 to 100 spaces'],
    ['"a" | slice: "x"', 'expected a whole number'],
    ['"a" | join', 'this is not a list; `split` makes one of text'],
    ['"" | split: "," | first | upcase', undefined],
  ])('the expression %s causes the error: %s', (expression, message) => {
    expect(run(`{{ ${expression} }}`)).toEqual(
      message === undefined ? '' : expect.objectContaining({ message }),
    );
  });
});

describe('lists from JSON', () => {
  it.each(['first', 'last'])(
    'the expression %s of an empty list has no value, even if a variable holds the result',
    (filter) => {
      const J = '[]';
      const assign = `{% assign x = J | from_json | ${filter} %}`;
      expect(run(`${assign}{% if x %}a{% else %}b{% endif %}{{ x | default: "c" }}`, { J })).toBe('bc');
      expect(run(`${assign}{{ x }}`, { J })).toMatchObject({
        message: 'there is no value here; `default` can give one',
      });
    },
  );

  it.each([
    ['[10,9,1.50,true]', 'sort', '[1.50,10,9,true]'],
    ['[1,"1",1.0,"1",true,"true",true]', 'uniq', '[1,"1",1.0,true,"true"]'],
    ['[10,"a",true]', 'reverse', '[true,"a",10]'],
  ])('the types of the items in the list %s are kept by the filter %s', (J, filter, expected) => {
    expect(run(`{{ J | from_json | ${filter} | json }}`, { J })).toBe(expected);
  });
});

describe('json and from_json', () => {
  const J =
    '{"b":1,"2":1.10,"id":123456789012345678,"list":[{"x":"é\\u0041"},null,true],"e":1e5,"t":"<\\/>"}';

  it('json and from_json return the JSON unchanged, including its order and digits', () => {
    expect(run('{{ J | from_json | json }}', { J })).toBe(
      '{"b":1,"2":1.10,"id":123456789012345678,"list":[{"x":"éA"},null,true],"e":1e5,"t":"</>"}',
    );
  });

  it.each([
    ['{{ o.b }}{{ o["2"] }} {{ o.id }} {{ o.e }}', '11.10 123456789012345678 1e5'],
    ['{{ o.list[0].x }} {{ o.list[2] }} {{ o.list[-1] }}', 'éA true true'],
    ['{{ o.list | json }}', '[{"x":"éA"},null,true]'],
    ['{% for p in o %}{{ p[0] }},{% endfor %}', 'b,2,id,list,e,t,'],
    ['{% for i in o.list %}{{ i | json }};{% endfor %}', '{"x":"éA"};null;true;'],
    ['{% if o["2"] == 1.1 and o.b < 2 %}equal{% endif %}', 'equal'],
    ['{{ o.list | size }}{{ o | size }}', '36'],
    ['{{ o.id | append: "!" }}', '123456789012345678!'],
    ['{{ o.list[1] | default: "none" }}', 'none'],
    ['{{ "a,b" | split: "," | json }}', '["a","b"]'],
    [
      '{{ "say \\"hi\\"\n" | json }}{{ 1 | json }}{{ true | json }}{{ nil | json }}',
      '"say \\"hi\\"\\n"1truenull',
    ],
  ])('the expression %s returns %j', (text, expected) => {
    expect(run(`{% assign o = J | from_json %}${text}`, { J })).toBe(expected);
  });

  it.each([
    ['{"a":1,"a":2}', 'an object has the same member twice'],
    ['{"a":', 'this is not JSON'],
    ['', 'this is not JSON'],
  ])('from_json rejects %j: %s', (text, message) => {
    expect(run('{% assign o = J | from_json %}', { J: text })).toMatchObject({ message });
  });

  it.each([
    ['{{ o.nothing }}', 'there is no `o.nothing`'],
    ['{{ o.list[7] }}', 'there is no `o.list[7]`'],
    ['{{ o.list[1] }}', 'there is no value here; `default` can give one'],
    ['{{ o }}', 'this is a list or an object, not text; `json` or `join` make text of it'],
  ])('the expression %s fails: %s', (text, message) => {
    expect(run(`{% assign o = J | from_json %}${text}`, { J })).toMatchObject({ message });
  });
});

describe('lists of objects', () => {
  const J =
    '[{"n":"a","p":"x","i":5},{"n":"b","p":"y","i":5.0,"on":true},{"n":"b","p":null},{"p":"z"},"b",["n"],{"n":["b"]}]';

  it.each([
    ['where: "n", "b" | map: "p" | json', '["y"]'],
    ['where: "n", "b" | size', '2'],
    ['where: "i", 5 | map: "p" | join', 'x y'],
    ['where: "i", "5" | size', '0'],
    ['where: "on", true | map: "p" | first', 'y'],
    ['where: "length", 1 | size', '0'],
    ['map: "p" | json', '["x","y","z"]'],
    ['map: "__proto__" | size', '0'],
  ])('%s returns %j', (filters, expected) => {
    expect(run(`{{ J | from_json | ${filters} }}`, { J })).toBe(expected);
  });

  it.each([
    ['where: "n", "c" | map: "p" | first', 'there is no value here; `default` can give one'],
    ['first | where: "n", "a" | first', 'there is no value here; `default` can give one'],
  ])('%s fails: %s', (filters, message) => {
    expect(run(`{{ J | from_json | ${filters} }}`, { J })).toMatchObject({ message });
  });
});

describe('JSON Web Keys', () => {
  const pairs = [
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['EC', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['EC', generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
  ] as const;

  it.each(pairs)('a key of the type %s becomes PEM', (_, { publicKey, privateKey }) => {
    const J = JSON.stringify({
      kid: 'https://contoso.vault.azure.net/keys/k/1',
      ...privateKey.export({ format: 'jwk' }),
    });
    expect(run('{{ J | jwk_public_pem }}', { J })).toBe(publicKey.export({ format: 'pem', type: 'spki' }));
    expect(run('{{ J | jwk_private_pem }}', { J })).toBe(privateKey.export({ format: 'pem', type: 'pkcs8' }));
  });

  it('a key in hardware becomes PEM, with the names that Azure uses', () => {
    const [, , [, { publicKey }]] = pairs;
    const J = JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kty: 'EC-HSM', crv: 'P-256K' });
    expect(run('{{ J | jwk_public_pem }}', { J })).toBe(publicKey.export({ format: 'pem', type: 'spki' }));
  });

  it.each([
    'text',
    '[]',
    '{"kty":"RSA"}',
    '{"kty":"oct","k":"aGk"}',
    '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}',
  ])('the text %s is refused', (J) => {
    for (const filter of ['jwk_public_pem', 'jwk_private_pem'])
      expect(run(`{{ J | ${filter} }}`, { J })).toMatchObject({ message: 'this is not a JSON Web Key' });
  });

  it('a public key is no private key', () => {
    const [[, { publicKey }]] = pairs;
    const J = JSON.stringify(publicKey.export({ format: 'jwk' }));
    expect(run('{{ J | jwk_private_pem }}', { J })).toMatchObject({ message: 'this is not a JSON Web Key' });
  });
});

describe('base64', () => {
  it.each([
    ['"é" | base64', 'w6k='],
    ['"w6k=" | base64_decode', 'é'],
    ['"??>" | base64', 'Pz8+'],
    ['"??>" | base64url', 'Pz8-'],
    ['"Pz8-" | base64url_decode', '??>'],
    ['"YQ" | base64url_decode', 'a'],
    ['"YQ==" | base64url_decode', 'a'],
    ['"" | base64', ''],
  ])('the expression %s returns %j', (expression, expected) => {
    expect(run(`{{ ${expression} }}`)).toBe(expected);
  });

  it.each([
    '"YQ" | base64_decode',
    '"YQ== " | base64_decode',
    '"Y Q=" | base64_decode',
    '"!" | base64url_decode',
  ])('the expression %s is refused, because its text is not base64', (expression) => {
    expect(run(`{{ ${expression} }}`)).toMatchObject({
      message: expect.stringMatching(/^this is not base64/),
    });
  });

  it.each(['base64', 'base64_encode', 'base64url'])(
    'the filter %s does not replace half a surrogate pair',
    (filter) => {
      const text = `{% assign o = J | from_json %}{{ o.half | ${filter} }}`;
      expect(run(text, { J: '{"half":"a\\ud83d"}' })).toMatchObject({
        message: 'the text holds half of a surrogate pair',
      });
      expect(run(text, { J: '{"half":"\\ud83d\\ude00"}' })).toBe(
        Buffer.from('😀').toString(filter === 'base64url' ? 'base64url' : 'base64'),
      );
    },
  );

  it('the filter base64 encodes any bytes without a change', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    expect(run('{{ B | base64 }}', { B: bytes })).toBe(Buffer.from(bytes).toString('base64'));
  });
});
