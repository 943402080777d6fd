import { behindProxy } from './contract.js';
import { recipeContract } from './recipe.contract.js';

behindProxy('caddy');
recipeContract('caddy');
