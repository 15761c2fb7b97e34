// The form for being told of outages: the parts follow the country that is chosen.

import { setUpPlace } from "./where.js";

setUpPlace(document.querySelector("form[data-alerts]"), { preset: true });
