import { TestRunner } from 'vitest';

const NAMES = 'AWS does not allow such names: only letters, digits and / _ + = . @ -';

/** The cases of the conformance suite that do not fit AWS, each with the reason. `keys.prop.test.ts` tests AWS keys. */
const UNFIT: readonly (readonly [RegExp, string])[] = [
  [/rejects the key "\/etc\/passwd"/, 'an AWS name may start with a slash'],
  [
    /rejects the key "(a\/\/b\.json|a\/)"/,
    'an AWS name may contain a slash anywhere, also two in a row and at its end',
  ],
  [/reads the key "(a b|ü|%2e|it's)/, NAMES],
];

/** If the running test does not fit AWS, skips the test and gives the reason. */
export function skipUnfit(): void {
  const test = TestRunner.getCurrentTest();
  const reason = UNFIT.find(([name]) => name.test(test?.name ?? ''))?.[1];
  if (reason !== undefined) test?.context.skip(reason);
}
