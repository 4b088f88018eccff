/*
 * The verbs of the command line. Each gets argv with argv[0] = the verb's name, parses the rest
 * with getopt_long, prints results on stdout and errors (sentences that say what to do) on stderr,
 * and returns the exit status: 0, 1 (it did not work), 2 (wrong usage).
 */
#ifndef STROBE_CMD_CMD_H
#define STROBE_CMD_CMD_H

int cmd_run(int argc, char **argv);	   /* the agent itself */
int cmd_status(int argc, char **argv);	   /* the running agent, for people */
int cmd_get(int argc, char **argv);	   /* METRIC... of the running agent */
int cmd_rank(int argc, char **argv);	   /* what changed in a range, of the running agent */
int cmd_collectors(int argc, char **argv); /* what can be read on this host; needs no agent */
int cmd_metrics(int argc, char **argv);	   /* the metric reference from the tables */
int cmd_record(int argc, char **argv);	   /* a range of this host into a file */
int cmd_open(int argc, char **argv);	   /* serves such a file */
int cmd_export(int argc, char **argv);	   /* prints its samples */
int cmd_flame(int argc, char **argv); /* flame graphs of an agent, a capture or a foreign file */

#endif
