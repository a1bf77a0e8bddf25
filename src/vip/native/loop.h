/*
 * The poll loop of vipd.
 */
#ifndef LOOP_H
#define LOOP_H

void loop_open(int events); /* the descriptor of events_open() */
void loop_events(void);	    /* acts on what the kernel has told so far */
void loop_run(void);	    /* until the pipe is closed and all is done */

#endif
