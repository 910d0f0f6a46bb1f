import { TestRunner } from 'vitest';

/** The cases of the conformance suite that do not fit Parameter Store. `keys.prop.test.ts` tests its keys. */
const UNFIT = /reads the key "(a b|ü|%2e|it's)/;

/** If the running test does not fit Parameter Store, skips the test and gives the reason. */
export function skipUnfit(): void {
  const test = TestRunner.getCurrentTest();
  if (UNFIT.test(test?.name ?? ''))
    test?.context.skip('Parameter Store does not allow such names: only letters, digits and / _ . -');
}
