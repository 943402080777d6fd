import plugin from '../../../plugins/transport-uws/index.js';
import { hostsContract } from '../../contracts/hosts.contract.js';

hostsContract('transport-uws', plugin);
