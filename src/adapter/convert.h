/* SPDX-License-Identifier: MIT */
/*
 * Messages of ours as Node servers know them, and theirs as ours. A channel of ours is a
 * namespace and a room of theirs; what has no event is called "message", as Socket.IO
 * clients here see it too.
 *
 * Thread: the control loop's.
 */
#ifndef PEAL_ADAPTER_CONVERT_H
#define PEAL_ADAPTER_CONVERT_H

#include "adapter/sender.h"
#include "base/names.h"
#include "hub/hub.h"

/* peal_adapter_is_here: somebody on this node may be in the room, whose channel is given,
 * too; or the room is the id of a session here. */
bool peal_adapter_is_here(
    const struct peal_hub *hub, struct peal_slice room, struct peal_slice channel);

/*
 * peal_adapter_channels gives the channels of rooms of a namespace, but for those whose
 * names are longer than any that a session can be in.
 *   hub  not NULL: also without those that nobody on this node is in now
 * Errors: PEAL_ENOMEM.
 */
PEAL_MUST_USE peal_err peal_adapter_channels(const struct peal_hub *hub,
    struct peal_slice nsp, const struct peal_slice *rooms, unsigned n,
    struct peal_names *out);

/*
 * peal_adapter_msg makes our message of their broadcast, for this node alone.
 *   hub    not NULL: rooms that nobody here is in are left out
 *   flags  more of PEAL_MSG_...
 * *out NULL: it is for nobody here. Errors: PEAL_ENOMEM; PEAL_ELIMIT: for more rooms than
 * one message may have.
 */
PEAL_MUST_USE peal_err peal_adapter_msg(const struct peal_hub *hub,
    const struct peal_sio_redis_msg *in, unsigned flags, struct peal_msg **out);

/* peal_adapter_publish tells the others what was published here, unless it is for none of
 * their sockets. */
void peal_adapter_publish(
    struct peal_adapter_sender *s, const struct peal_hub *hub, const struct peal_msg *m);

#endif
