"""A learner whose weights, gradients and averages DeepSpeed divides among processes (ZeRO, stage 3)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from eval_anything.errors import MissingExtra, UsageError
from eval_anything_train.learner import Learner, Named, NotFinite
from eval_anything_train.optimizers import adamw
from eval_anything_train.state import Saved

_AVERAGES = ("exp_avg", "exp_avg_sq")


class EngineLearner(Learner):
    """For methods that train one module. DeepSpeed clips and updates in one, so a gradient that is no number
    is found when the weights in memory are spoilt by it; the checkpoints before it are whole all the same."""

    def prepare(self) -> None:
        try:
            import deepspeed
        except ImportError as fault:
            raise MissingExtra(f"DeepSpeed is asked for, and {fault.name} is not installed") from None
        optimizer = adamw(self.bare, self.settings)
        engine, _, _, _ = deepspeed.initialize(model=self.bare, optimizer=optimizer, config=self._config())
        self.engine: Any = engine
        self.module = engine
        self.optimizer = engine.optimizer

    def _config(self) -> dict[str, Any]:
        """What the launcher asks for about ZeRO; all else is in our settings."""
        from accelerate import DeepSpeedPlugin

        zero = DeepSpeedPlugin().deepspeed_config["zero_optimization"]
        if zero["stage"] != 3:
            raise UsageError(f"accelerate: zero_stage must be 3, not {zero['stage']}")
        s = self.settings
        half = self.session.dtype == torch.bfloat16
        return {
            "train_micro_batch_size_per_gpu": s.batch_size,
            "gradient_accumulation_steps": 1,  # losses are shares of a step's already
            "gradient_clipping": s.clip,
            "bf16": {"enabled": half},
            "data_types": {"grad_accum_dtype": "fp32"},
            "zero_optimization": {name: v for name, v in zero.items() if v != "auto"},
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "steps_per_print": math.inf,
        }

    def backward(self, loss: Tensor, *, last: bool) -> None:
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss)

    @contextlib.contextmanager
    def accumulating(self, *, last: bool) -> Iterator[None]:
        yield

    def gradient_norm(self) -> Tensor:
        raise UsageError("DeepSpeed trains one model: for methods with several use accelerate/fsdp.yaml")

    def advance(self, step: int) -> tuple[float, float]:
        rate = self.set_rate(step)
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm())
        if not math.isfinite(norm):
            raise NotFinite(f"the gradient's norm is {norm}")
        return norm, rate

    def weights(self, *, trained: bool) -> Named:
        import deepspeed
        from deepspeed.utils import safe_get_full_fp32_param

        parameters = dict(self.bare.named_parameters(remove_duplicate=False))
        names = self.trained() if trained else self.bare.state_dict()
        for name in names:
            parameter = parameters.get(name)
            if parameter is None:
                yield name, self.bare.get_buffer(name)
            elif parameter.requires_grad:
                yield name, safe_get_full_fp32_param(parameter)
            else:
                with deepspeed.zero.GatheredParameters([parameter]):
                    yield name, parameter.detach().clone()

    def averages(self) -> Named:
        from deepspeed.utils import safe_get_full_optimizer_state

        inner = self.engine.optimizer.optimizer
        steps = [state["step"] for state in inner.state.values()]
        for name, parameter in self.trained().items() if steps else ():
            yield f"{name}/step", steps[0].clone()
            for kind in _AVERAGES:
                yield f"{name}/{kind}", safe_get_full_optimizer_state(parameter, kind)

    def restore(self, saved: Saved) -> None:
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        inner = self.engine.optimizer.optimizer
        trained = self.trained()
        if not saved.kinds(next(iter(trained))):
            return
        for name, parameter in trained.items():
            # Wrapping has rounded the weights to what is computed in.
            safe_set_full_fp32_param(parameter, saved.weight(name).to(self.session.device))
        step = saved.average(next(iter(trained)), "step")
        for flat in self.engine.optimizer.fp32_partitioned_groups_flat:
            empty = {kind: torch.zeros_like(flat) for kind in _AVERAGES}
            inner.state[flat] = {"step": step.clone(), **empty}
        for name, parameter in trained.items():
            for kind in _AVERAGES:
                value = saved.average(name, kind).to(self.session.device)
                safe_set_full_optimizer_state(parameter, value, kind)
