"""Proximal policy optimisation: rollouts, rewards, advantages, and the updates of actor and critic."""
