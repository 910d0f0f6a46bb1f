import { TestRunner } from 'vitest';

const NAMES = 'AWS has no such names: letters, digits and / _ + = . @ - only';

/**
 * Cases of the conformance suite that no store of AWS can show, each with its reason. `test/…/keys.test.ts` has its
 * own.
 */
const UNFIT: readonly (readonly [RegExp, string])[] = [
  [/refuses the key "\/etc\/passwd"/, 'a name of AWS may begin with a slash, and many do'],
  [
    /refuses the key "(a\/\/b\.json|a\/)"/,
    'a name of AWS may have a slash anywhere, two in a row and one at its end too',
  ],
  [/reads the key "(a b|ü|%2e|it's)/, NAMES],
];

/** Skips the running test, with its reason shown, if it is one that AWS cannot show. */
export function skipUnfit(): void {
  const test = TestRunner.getCurrentTest();
  const reason = UNFIT.find(([name]) => name.test(test?.name ?? ''))?.[1];
  if (reason !== undefined) test?.context.skip(reason);
}
