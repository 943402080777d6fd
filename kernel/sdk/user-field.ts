import { clientChosenId } from '../contracts/chat-fields.js';

/** Schema of a field that names the user, which only an open server needs. Documents mark it as required there. */
export function userField(description: string) {
  return clientChosenId.optional().meta({ description, neededInOpenServer: true });
}
