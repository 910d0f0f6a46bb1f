import { matches } from './glob.ts';
import type { Role } from './roles.ts';

// Which actions need a second person, and who that person may be.

/** The actions that can need the approval of a second person. */
export const APPROVAL_ACTIONS = ['release', 'rollback', 'unpin', 'adopt', 'prune'] as const;
export type ApprovalAction = (typeof APPROVAL_ACTIONS)[number];

/** An entry of `approvals` in the configuration. */
export interface ApprovalRule {
  readonly actions: readonly ApprovalAction[];
  /** Globs. Undefined: all namespaces. */
  readonly namespaces?: readonly string[] | undefined;
  /** A person with one of the roles, or in one of the groups, may approve. */
  readonly approvers: {
    readonly roles?: readonly Role[] | undefined;
    readonly groups?: readonly string[] | undefined;
  };
  /** How long a request stays open, in milliseconds. */
  readonly withinMs: number;
}

/**
 * Returns the rule for an action on a target in this namespace. The first entry that matches decides. Undefined: the
 * action needs no approval.
 */
export function approvalRuleFor(
  rules: readonly ApprovalRule[],
  action: ApprovalAction,
  namespace: string,
): ApprovalRule | undefined {
  return rules.find(
    ({ actions, namespaces }) =>
      actions.includes(action) &&
      (namespaces === undefined || namespaces.some((glob) => matches(glob, namespace))),
  );
}
