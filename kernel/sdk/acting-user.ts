import type { Principal } from '../contracts/access.js';
import { WaggleError } from '../errors.js';

/** Whether the data of a user are open to a principal; without one, in an open server, they are. */
export function mayActFor(principal: Principal | undefined, userId: string | undefined): boolean {
  return !principal || principal.id === userId || principal.scopes.includes('act-as');
}

/**
 * The user of a request that names one, or none: that of its credentials. Another one needs the scope `act-as`; in an open
 * server the name is taken as it is. @throws FORBIDDEN
 */
export function actingUser(principal: Principal | undefined, named: string | undefined): string | undefined {
  if (!principal || named === undefined) return principal?.id ?? named;
  if (mayActFor(principal, named)) return named;
  throw new WaggleError('FORBIDDEN', {
    why: 'these are not the credentials of the user that the request names',
  });
}

/** The same where there has to be one. `field` names it in the error. @throws FORBIDDEN, INVALID_REQUEST */
export function requiredUser(
  principal: Principal | undefined,
  named: string | undefined,
  field: string,
): string {
  const userId = actingUser(principal, named);
  if (userId !== undefined) return userId;
  throw new WaggleError('INVALID_REQUEST', {
    issues: [`${field}: expected string, because this server is open and takes users at their word`],
  });
}
